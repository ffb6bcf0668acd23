import { snapshotChoice } from '../../lib/planner/snapshot-mode';

const able = ['snapshot', 'snapshot_with_quiesce', 'clean_shutdown'];

test.each<[Parameters<typeof snapshotChoice>[0], string, readonly string[], string]>([
  ['disk', 'Running', [], 'plain'],
  ['quiesce', 'Running', able, 'quiesce'],
  ['quiesce', 'Running', ['snapshot'], 'refused: the pool offers no quiesced snapshot of it'],
  ['quiesce', 'Halted', [], 'plain'],
  ['offline', 'Running', able, 'offline'],
  ['offline', 'Halted', [], 'plain'],
  ['offline', 'Suspended', ['resume'], 'refused: it is Suspended and cannot be shut down cleanly now'],
  ['offline', 'Running', ['snapshot'], 'refused: it is Running and cannot be shut down cleanly now'],
  ['memory', 'Running', able, 'refused: its memory cannot be carried'],
  ['memory', 'Halted', [], 'plain'],
])('mode %s of a VM that is %s and may %j: %s', (mode, powerState, operations, expected) => {
  const choice = snapshotChoice(mode, { powerState, operations });
  const told = choice.kind === 'possible' ? choice.how : `refused: ${choice.reason}`;
  expect(told.startsWith(expected)).toBe(true);
});
