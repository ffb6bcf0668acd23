import { percent, progressWords, wordsFor } from '../../../lib/cli/progress/words';
import type { Plan } from '../../../lib/planner/plan';
import { mib, progressed, vm } from './events';

const id = { ref: 'OpaqueRef:1', uuid: 'u1', name: 'db1' };

function planned(plan: Plan): readonly string[] {
  return wordsFor({ kind: 'planned', vm, attempt: 1, plan });
}

test('a plan in a line: kind, disks, base, and why something is copied in full', () => {
  const copy = {
    kind: 'full',
    device: '0',
    sourceVdi: id,
    sizeBytes: 1,
    because: 'x',
    baseLost: false,
    elideZeros: true,
    method: 'export',
    methodBecause: 'x',
  } as const;
  const plan = {
    kind: 'replicate',
    copyKind: 'delta',
    vm: id,
    base: { point: { ...id, uuid: 'p1' }, sourceSnapshot: id, disks: [] },
    replica: id,
    spaceNeededBytes: 0,
    whenUnchanged: null,
    notes: ['disk 1 is new'],
    kept: [],
    steps: [{ kind: 'copy-disk', copy }],
  } as const;
  expect(planned(plan)).toEqual(['db1: delta of 1 disk, on recovery point p1', 'db1: note: disk 1 is new']);
  expect(planned({ ...plan, copyKind: 'full', base: null, notes: [] })).toEqual(['db1: full of 1 disk']);
});

test('what an interrupted run left is told before it is finished; a refusal is told with the outcome', () => {
  const repair = { replica: id, swap: null, commit: null, steps: [] };
  expect(planned({ kind: 'repair', vm: id, because: 'a swap was announced', ...repair })).toEqual([
    'db1: first finishing what an earlier run left: a swap was announced',
  ]);
  expect(planned({ kind: 'blocked', vm: id, conflicts: [] })).toEqual([]);
});

test('the outcome names the recovery point, or what kept it from being made', () => {
  const takenAtMs = Date.UTC(2025, 0, 2, 3, 4, 5);
  const point = { ...id, uuid: 'p1' };
  const made = {
    kind: 'replicated',
    copyKind: 'full',
    replica: id,
    point,
    sourceSnapshot: id,
    takenAtMs,
  } as const;
  expect(wordsFor({ kind: 'vm-finished', vm, outcome: made })).toEqual([
    'db1: replicated: recovery point p1, as of 2025-01-02 03:04:05Z',
  ]);
  const error = { code: 'locked', message: 'm', hint: 'h', retry: 'later' } as const;
  expect(wordsFor({ kind: 'vm-finished', vm, outcome: { kind: 'locked', error } })).toEqual([
    'db1: not replicated (locked)',
  ]);
});

test('a failed attempt says whether and when it is tried again', () => {
  const error = { code: 'x', message: 'broken', hint: 'h', retry: 'now' } as const;
  const words = (retryInMs: number | null): readonly string[] =>
    wordsFor({ kind: 'attempt-failed', vm, attempt: 2, error, retryInMs });
  expect([null, 0, 30_000].flatMap(words)).toEqual([
    'db1: attempt 2 failed, not tried again: broken',
    'db1: attempt 2 failed, again now: broken',
    'db1: attempt 2 failed, again in 30 s: broken',
  ]);
});

test('progress never passes 100 %, and nothing of nothing is all of it', () => {
  const event = progressed(101 * mib);
  if (event.kind !== 'disk-progress') throw new Error('not a progress event');
  expect(progressWords(event, { bytesPerSecond: null, remainingMs: null })).toBe(
    'db1: disk 0: 100.0 MiB of 100.0 MiB (100%)',
  );
  expect(percent(0, 0)).toBe('100%');
  expect(percent(99, 100)).toBe('99%');
});

test('a run that gives way says to whom, and how fast bytes move', () => {
  const mib = 1024 ** 2;
  const busy = { kind: 'nice-paced', host: 'paris-1', loadPerVcpu: 1.834, bytesPerSecond: 12 * mib } as const;
  expect(wordsFor(busy)).toEqual([
    'nice: at most 12.0 MiB/s (control domain of host "paris-1": load 1.83 per vCPU)',
  ]);
  expect(wordsFor({ ...busy, loadPerVcpu: 0.25, bytesPerSecond: null })).toEqual([
    'nice: as fast as it may again (control domain of host "paris-1": load 0.25 per vCPU)',
  ]);
  expect(wordsFor({ ...busy, host: null, loadPerVcpu: null, bytesPerSecond: 15 * mib })).toEqual([
    'nice: at most 15.0 MiB/s (no host says how busy it is)',
  ]);
});
