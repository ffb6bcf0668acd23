import { describeConflict, describePlan } from '../../lib/planner/describe';
import { planRun } from '../../lib/planner/plan-run';
import type { Conflict, Plan } from '../../lib/planner/plan';
import { id, observed } from './language';
import { jobWith } from './literals';

function planned(world: string, job = jobWith()): Plan {
  return planRun(job, observed(world));
}

test('a delta, step by step', () => {
  const world =
    'vm 0:root 1:new; snapshot S1 0:root =P1; replica R 0:r0; point P1 0^ ~S1; leftover disk staged target';
  expect(describePlan(planned(world))).toEqual([
    'delta of VM "db1" (vm)',
    'note: disk 1 is copied in full: the disk was added since the last recovery point',
    'discard disk "staged" (staged) on the target: made by run run-dead, which ended before its commit; this run holds the lock',
    'snapshot VM "db1" (vm)',
    'clone recovery point "P1" (P1) for disk 0',
    'create an empty disk of 1.00 GiB for device 1',
    'send what changed on disk 0 since "S1.0" (S1.0); read by export (the job says so)',
    'send all of disk 1: the disk was added since the last recovery point; read by export (the job says so)',
    'announce the exchange of disks on the replica',
    'exchange the disks of the replica',
    'bring settings and 1 network card(s) up to date',
    'snapshot the replica and commit the recovery point',
    'commit the source snapshot',
    'take the content key off 1 older disk(s)',
    'destroy the disks that were replaced',
    `destroy recovery point "P1" (P1): superseded: not the newest; this run's point is the new base`,
    'destroy source snapshot "S1" (S1): superseded: this run committed a newer snapshot on both sides, and no other target needs this one',
  ]);
});

test('a first copy makes the replica', () => {
  expect(describePlan(planned('vm 0:root'))).toContain('create the replica VM, with start blocked');
});

test('a repair', () => {
  const world = 'vm 0:root; snapshot S2 0:root; replica R 0:r0; swap 0:r0>n0 ~S2 gone:n0';
  expect(describePlan(planned(world))).toEqual([
    'first finish what was interrupted: run run-2 announced an exchange of disks and did not finish it',
    'take the announced exchange of disks back: new disk n0 for device 0 is gone; the disks from before are all still attached',
  ]);
});

test('a refusal, with what to do about it', () => {
  expect(describePlan(planned('vm 0:root*4; target free=1'))).toEqual([
    'refused: target SR "vault" (sr) has 1.00 GiB free, this run needs 2.00 GiB: disk 0 2.00 GiB ' +
      '(free space on that SR, keep fewer recovery points, or give the job another target_sr)',
  ]);
});

/** One of each kind: the type makes sure that none is missing. */
const conflicts: { readonly [K in Conflict['kind']]: Extract<Conflict, { readonly kind: K }> } = {
  'no-base': { kind: 'no-base', reason: 'snapshot gone', points: ['"P1" (P1)'] },
  'waiting-for-seed': { kind: 'waiting-for-seed', vm: id('db1'), sr: id('vault'), reason: 'the first copy' },
  'chain-refused': { kind: 'chain-refused', replicas: [id('X')], reasons: ['its source snapshot is gone'] },
  'target-diverged': { kind: 'target-diverged', replica: id('R'), disks: ['0: "r0" (r0)'] },
  'snapshot-mode': { kind: 'snapshot-mode', vm: id('V'), mode: 'memory', reason: 'it cannot be carried' },
  'replica-not-halted': { kind: 'replica-not-halted', replica: id('R'), powerState: 'Running' },
  'foreign-transfer': { kind: 'foreign-transfer', replica: id('R'), mark: 'Xen Orchestra' },
  'swap-broken': { kind: 'swap-broken', replica: id('R'), reasons: ['new disk n0 for device 0 is gone'] },
  'rival-replicas': { kind: 'rival-replicas', replicas: [id('R'), id('R2')] },
  'network-unmapped': { kind: 'network-unmapped', networks: [id('lan')] },
  'network-unknown': { kind: 'network-unknown', wanted: ['dr'] },
  'network-ambiguous': { kind: 'network-ambiguous', networks: [id('lan')] },
  'no-space': {
    kind: 'no-space',
    side: 'target',
    sr: id('vault'),
    needBytes: 2 * 1024 ** 3,
    freeBytes: 0,
    reserved: [],
    parts: [{ device: '0', bytes: 2 * 1024 ** 3 }],
  },
  'raw-disk': { kind: 'raw-disk', side: 'source', objects: [id('root')] },
  'no-disks': { kind: 'no-disks', vm: id('db1') },
  'is-replica': { kind: 'is-replica', vm: id('db1'), job: 'gold' },
  permission: { kind: 'permission', missing: ['vm.clone'] },
};

test.each(Object.values(conflicts))('conflict $kind names its evidence and what to do', (conflict) => {
  const { message, hint } = describeConflict(conflict);
  const evidence = JSON.stringify(conflict).match(/"uuid":"(.+?)"/g) ?? [];
  for (const uuid of evidence) expect(message).toContain(uuid.slice('"uuid":"'.length, -1));
  expect(message).not.toMatch(/undefined|\[object/);
  expect(hint).toMatch(/^[a-z].{10,}[^.]$/);
});

test('raw disks of the target name the SR', () => {
  expect(describeConflict({ kind: 'raw-disk', side: 'target', objects: [id('vault')] }).message).toBe(
    'SR "vault" (vault) keeps raw disks, which cannot be cloned',
  );
});
