import { afterShutdown, quietEnoughMs as quietMs, shutdownWatchMaxMs } from '../../lib/planner/shutdown';

const running = { powerState: 'Running', operations: [] };
const goingDown = { powerState: 'Running', operations: ['clean_shutdown'] };
const halted = { powerState: 'Halted', operations: [] };
const late = shutdownWatchMaxMs;

test.each([
  ['it is down', halted, 0, 0, 'start'],
  ['it is down, and another one is starting it', { ...halted, operations: ['start'] }, 0, 0, 'look-again'],
  ['it is up, for all one can tell so far', running, quietMs - 1, quietMs - 1, 'look-again'],
  ['it has been up for long enough', running, quietMs, quietMs, 'stays-up'],
  ['it has been up for long, but is going down', goingDown, quietMs, quietMs, 'look-again'],
  ['something else is done with it', { ...running, operations: ['clone'] }, quietMs, quietMs, 'stays-up'],
  ['the pool does not answer', null, 0, quietMs, 'look-again'],
  ['it is going down for ever', goingDown, late, late, 'unclear'],
  ['the pool has not answered all the time', null, 0, late, 'unclear'],
  ['it is down at last', halted, 0, late, 'start'],
] as const)('a VM that was told to shut down: %s', (_name, seen, upMs, watchedMs, next) => {
  expect(afterShutdown(seen, { upMs, quietMs, watchedMs })).toBe(next);
});

test('one that was down and is up was started by somebody: there is nothing to watch', () => {
  expect(afterShutdown(running, { upMs: 0, quietMs: 0, watchedMs: 0 })).toBe('stays-up');
});
