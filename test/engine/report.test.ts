import type { RunEvent, VmOutcome } from '../../lib/engine/events';
import { ReportBuilder } from '../../lib/engine/report';
import type { RunReport } from '../../lib/engine/report';
import { planRun } from '../../lib/planner/plan-run';
import { id, observed } from '../planner/language';
import { jobWith } from '../planner/literals';

const db1 = { uuid: 'vm-1', name: 'db1' };
const web = { uuid: 'vm-2', name: 'web' };

/** A clock that is asked, and only then goes on by a second. */
function report(...events: readonly RunEvent[]): RunReport {
  let nowMs = 1_000_000;
  const builder = new ReportBuilder('run-1', jobWith(), () => (nowMs += 1000));
  for (const event of events) builder.add(event);
  return builder.finish();
}

const replicated: VmOutcome = {
  kind: 'replicated',
  copyKind: 'delta',
  replica: id('R'),
  point: id('P1'),
  sourceSnapshot: id('S1'),
  takenAtMs: 5,
};
const failed: VmOutcome = {
  kind: 'failed',
  error: { code: 'bad-stream', message: 'broken', hint: 'try again', retry: 'later' },
};

const started = (vms: number): RunEvent => ({
  kind: 'run-started',
  run: 'run-1',
  jobId: 'gold',
  jobName: 'Gold',
  vms,
});
const begun = (vm = db1): RunEvent => ({ kind: 'vm-started', vm });
const ended = (outcome: VmOutcome, vm = db1): RunEvent => ({ kind: 'vm-finished', vm, outcome });
const planned = (attempt: number, world: string): RunEvent => ({
  kind: 'planned',
  vm: db1,
  attempt,
  plan: planRun(jobWith(), observed(world)),
});
const copied = (device: string, bytesRead: number): RunEvent => ({
  kind: 'disk-copied',
  vm: db1,
  device,
  copyKind: 'full',
  method: 'export',
  methodBecause: 'x',
  changedBytes: 4,
  bytesRead,
  bytesSent: 3,
  digest: 'sha256:00',
});

describe('a run is good only if every VM was replicated', () => {
  test.each<[string, readonly RunEvent[], boolean]>([
    ['one', [started(1), begun(), ended(replicated)], true],
    ['two', [started(2), begun(), begun(web), ended(replicated, web), ended(replicated)], true],
    ['one of two failed', [started(2), begun(), begun(web), ended(replicated, web), ended(failed)], false],
    ['no VM at all', [started(0)], true],
    ['of one nothing was heard', [started(2), begun(), ended(replicated)], false],
    ['of one no end was heard', [started(2), begun(), begun(web), ended(replicated)], false],
  ])('%s', (_, events, ok) => {
    expect(report(...events).ok).toBe(ok);
  });

  test('a VM without an end is in the report, as failed', () => {
    expect(report(started(1), begun()).vms).toMatchObject([{ vm: db1, outcome: { kind: 'failed' } }]);
  });
});

test('the report says what was done, in the order of the disks', () => {
  const events = [
    started(1),
    begun(),
    planned(1, 'vm 0:root 10:logs'),
    { kind: 'warning', vm: db1, text: 'careful' } as const,
    copied('10', 7),
    copied('0', 9),
    { kind: 'disk-verified', vm: db1, device: '10', mode: 'sampled', comparedBytes: 2 } as const,
    ended(replicated),
    { kind: 'selection-warning', text: 'no VM bears tag "gold"' } as const,
  ];
  expect(report(...events)).toEqual({
    run: 'run-1',
    nice: null,
    job: { id: 'gold', name: 'Gold' },
    warnings: ['no VM bears tag "gold"'],
    startedAtMs: 1_001_000,
    durationMs: 3000,
    ok: true,
    vms: [
      {
        vm: db1,
        outcome: replicated,
        durationMs: 1000,
        attempts: 1,
        disks: [
          {
            device: '0',
            copyKind: 'full',
            method: 'export',
            methodBecause: 'x',
            changedBytes: 4,
            readBytes: 9,
            sentBytes: 3,
            digest: 'sha256:00',
            verified: null,
          },
          {
            device: '10',
            copyKind: 'full',
            method: 'export',
            methodBecause: 'x',
            changedBytes: 4,
            readBytes: 7,
            sentBytes: 3,
            digest: 'sha256:00',
            verified: { mode: 'sampled', comparedBytes: 2 },
          },
        ],
        warnings: ['careful'],
        notes: ['disk 0 is copied in full: the first copy', 'disk 10 is copied in full: the first copy'],
      },
    ],
  });
});

test('disks and notes are those of the last plan; warnings are kept over attempts', () => {
  const first = planned(1, 'vm 0:root 1:data');
  const warned: RunEvent = { kind: 'warning', vm: db1, text: 'planning again' };
  const again = report(
    started(1),
    begun(),
    first,
    copied('1', 1),
    warned,
    planned(2, 'vm 0:root'),
    copied('0', 2),
    ended(replicated),
  );
  expect(again.vms).toMatchObject([
    {
      attempts: 2,
      disks: [{ device: '0', readBytes: 2 }],
      warnings: ['planning again'],
      notes: ['disk 0 is copied in full: the first copy'],
    },
  ]);

  const refused = report(started(1), begun(), first, copied('1', 1), planned(2, 'vm'), ended(failed));
  expect(refused.vms).toMatchObject([{ disks: [], notes: [] }]);
});

test('VMs are told apart by uuid, whatever their names', () => {
  const namesake = { uuid: 'vm-9', name: 'db1' };
  const { vms } = report(started(2), begun(), begun(namesake), ended(failed, namesake), ended(replicated));
  expect(vms.map(({ vm, outcome }) => `${vm.uuid} ${outcome.kind}`)).toEqual([
    'vm-9 failed',
    'vm-1 replicated',
  ]);
});
