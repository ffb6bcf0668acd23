import { Interruption } from '../../lib/cli/interruption';
import type { StopSignal } from '../../lib/cli/io';

function setUp() {
  const handlers = new Set<(signal: StopSignal) => void>();
  const exits: number[] = [];
  const told: string[] = [];
  const clock = { nowMs: 1000 };
  const interruption = new Interruption(
    {
      nowMs: () => clock.nowMs,
      exit: (code) => exits.push(code),
      onSignal: (handler) => {
        handlers.add(handler);
        return () => handlers.delete(handler);
      },
    },
    () => told.push('stopping'),
  );
  const press = (signal: StopSignal): void => {
    for (const handler of handlers) handler(signal);
  };
  return { interruption, handlers, exits, told, clock, press };
}

test('the first press asks to stop, the second ends the process', () => {
  const { interruption, exits, told, clock, press } = setUp();
  expect(interruption.exitCode).toBeNull();
  press('SIGINT');
  expect(interruption.signal.aborted).toBe(true);
  expect(interruption.exitCode).toBe(130);
  expect([told, exits]).toEqual([['stopping'], []]);
  clock.nowMs += 600;
  press('SIGINT');
  expect([told, exits]).toEqual([['stopping'], [130]]);
});

test('a package runner that passes the same press on does not make it a second one', () => {
  const { exits, clock, press } = setUp();
  press('SIGINT');
  clock.nowMs += 20;
  press('SIGINT');
  press('SIGTERM');
  expect(exits).toEqual([]);
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('%s ends in %d', (signal, code) => {
  const { interruption, press } = setUp();
  press(signal);
  expect(interruption.exitCode).toBe(code);
});

test('a reader that leaves stops us too, and a press after that ends the process only when it is the second', () => {
  const { interruption, exits, told, clock, press } = setUp();
  interruption.readerLeft();
  expect(interruption.signal.aborted).toBe(true);
  expect(interruption.exitCode).toBe(141);
  expect(told).toEqual([]);
  clock.nowMs += 600;
  press('SIGINT');
  expect(exits).toEqual([141]);
});

test('for what runs until it is stopped, being stopped is no failure; a second press still ends it', () => {
  const { interruption, exits, clock, press } = setUp();
  interruption.expect();
  press('SIGTERM');
  expect(interruption.signal.aborted).toBe(true);
  expect(interruption.exitCode).toBeNull();
  clock.nowMs += 600;
  press('SIGTERM');
  expect(exits).toEqual([143]);
});

test('released, it listens no more', () => {
  const { interruption, handlers, press } = setUp();
  interruption.release();
  expect(handlers.size).toBe(0);
  press('SIGINT');
  expect(interruption.signal.aborted).toBe(false);
});
