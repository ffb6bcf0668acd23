import type { VmOutcome, VmReport } from '../../lib/engine';
import { exitCodeHelp, exitCodeOfRun, exitCodes, stopCodes } from '../../lib/cli/exit-codes';

const object = { ref: 'OpaqueRef:1', uuid: 'u', name: 'n' };
const error = { code: 'x', message: 'm', hint: 'h', retry: 'never' } as const;

function outcome(kind: VmOutcome['kind']): VmOutcome {
  if (kind !== 'replicated') return { kind, error };
  return {
    kind,
    copyKind: 'full',
    replica: object,
    point: object,
    sourceSnapshot: object,
    takenAtMs: 0,
  };
}

function vm(kind: VmOutcome['kind']): VmReport {
  const rest = { durationMs: 0, attempts: 1, disks: [], warnings: [], notes: [] };
  return { vm: { uuid: 'u', name: 'n' }, outcome: outcome(kind), ...rest };
}

const runs: readonly (readonly [number, readonly VmOutcome['kind'][]])[] = [
  [0, []],
  [0, ['replicated']],
  [0, ['replicated', 'replicated']],
  [1, ['failed']],
  [1, ['cancelled']],
  [1, ['failed', 'blocked', 'locked']],
  [3, ['blocked']],
  [3, ['blocked', 'locked']],
  [7, ['deferred']],
  [7, ['deferred', 'locked']],
  [3, ['deferred', 'blocked']],
  [5, ['deferred', 'replicated']],
  [4, ['locked']],
  [4, ['locked', 'locked']],
  [5, ['replicated', 'failed']],
  [5, ['replicated', 'blocked']],
  [5, ['locked', 'replicated']],
];

test.each(runs)('exit code %d for %j', (code, kinds) => {
  expect(exitCodeOfRun({ vms: kinds.map(vm) })).toBe(code);
});

test('the help names every code', () => {
  for (const code of [...Object.values(exitCodes), ...Object.values(stopCodes)]) {
    expect(exitCodeHelp).toMatch(new RegExp(`\\b${String(code)}\\b`));
  }
});
