import type { ChainLayer, Observation, SourceStorage } from '../../lib/planner/observation';
import { planCopies } from '../../lib/planner/copies';
import { planRun } from '../../lib/planner/plan-run';
import { describePlan } from '../../lib/planner/describe';
import { bytesWaitedFor, targetSpace } from '../../lib/planner/space';
import { findBase } from '../../lib/planner/base';
import { gib, id, observed } from './language';
import { jobWith } from './literals';

const how = { job: jobWith(), nbd: null };

const mib = 1024 ** 2;

/** GiB on the target, without what a volume needs besides its content. */
function need(world: Observation): number {
  const search = findBase(world, jobWith());
  const base = search.kind === 'found' ? search.base : null;
  const snapshot = world.source.snapshots.find(({ id: { uuid } }) => uuid === base?.sourceSnapshot.uuid);
  const copies = planCopies(world.source.disks, base, snapshot ?? null, 'the first copy', world.target, how);
  return Math.floor(targetSpace(copies, world, base, null).needBytes / gib);
}

function layer(uuid: string, physicalBytes: number): ChainLayer {
  return { uuid, physicalBytes, mergePending: false };
}

/** The VM's disk has been written to since snapshot S1, in a layer of its own and in one below. */
function written(target: string, sourceAllocation: SourceStorage['allocation']): Observation {
  const world = observed(
    `vm 0:root*20; snapshot S1 0:root*20 =P1; replica R 0:r0; point P1 0*20 ~S1; target ${target}`,
  );
  const old = layer('old', 5 * gib);
  const chains = [
    [layer('root', 2 * gib), layer('between', gib), old],
    [layer('S1.0', 0), old],
  ] as const;
  const [live, snapshot] = [world.source.disks[0], world.source.snapshots[0]];
  if (live === undefined || snapshot === undefined) throw new Error('the world has no disk');
  return {
    ...world,
    source: {
      ...world.source,
      storages: [{ sr: live.sr, allocation: sourceAllocation, freeBytes: 1000 * gib }],
      disks: [{ ...live, chain: chains[0] }],
      snapshots: [{ ...snapshot, disks: snapshot.disks.map((disk) => ({ ...disk, chain: chains[1] })) }],
    },
  };
}

describe('on the target SR', () => {
  test('a full needs what the source has allocated, which is half of each disk here', () => {
    expect(need(observed('vm 0:root*4 1:data*8; target thin'))).toBe(6);
  });

  test('on a thick SR its whole volume as well, before the snapshot gives back what is empty', () => {
    expect(need(observed('vm 0:root*4 1:data*8; target thick'))).toBe(18);
  });

  test('a delta needs what was written since the base, in all layers above it', () => {
    expect(need(written('thin', 'thin'))).toBe(3);
    expect(need(written('thick', 'thin'))).toBe(23);
  });

  test('but the live volume of a thick source says nothing of what was written', () => {
    expect(need(written('thin', 'thick'))).toBe(1);
  });

  test('the clone of a recovery point makes a volume for disks that are gone from the VM, too', () => {
    const world =
      'vm 0:root; snapshot S1 0:root 1:data*30 =P1; replica R 0:r0 1:r1; point P1 0 1*30 ~S1; target thick';
    expect(need(observed(world))).toBe(31);
  });

  test('a volume has room for the bitmap of each block', () => {
    const world = observed('vm 0:root*4; target thick');
    const copies = planCopies(world.source.disks, null, null, 'the first copy', world.target, how);
    const { needBytes, parts } = targetSpace(copies, world, null, null);
    expect(needBytes).toBe(4 * gib + 4 * mib + 2 * gib + 4 * mib);
    expect(parts).toEqual([{ device: '0', bytes: needBytes }]);
  });
});

describe('beside others', () => {
  function plan(freeGib: number, reservedGib: number): ReturnType<typeof planRun> {
    const world = observed(`vm 0:root*4; target free=${String(freeGib)}`);
    const vm = { uuid: 'other', name: 'web2' };
    const reserved = [{ job: null, vm, bytes: reservedGib * gib }];
    return planRun(jobWith(), { ...world, target: { ...world.target, reserved } });
  }

  test('what they are about to take is not free', () => {
    const planned = plan(10, 9);
    expect(planned).toMatchObject({
      kind: 'blocked',
      conflicts: [{ freeBytes: 10 * gib, reserved: [{ bytes: 9 * gib }] }],
    });
    expect(bytesWaitedFor(planned)).toBeGreaterThan(0);
    expect(describePlan(planned).join()).toContain(
      '10.00 GiB free, of which others need 9.00 GiB (VM "web2" of this run 9.00 GiB), this VM needs',
    );
  });

  test('where there is too little without them, they are no reason, but may give some back', () => {
    const told = describePlan(plan(1, 1)).join();
    expect(told).toContain('1.00 GiB free, this VM needs 2.00 GiB');
    expect(told).toContain('run again when others (VM "web2" of this run 1.00 GiB) are done; or free space');
  });

  test('nobody waits for space that will not be there either when they are done', () => {
    expect(bytesWaitedFor(plan(1, 1))).toBeNull();
    expect(bytesWaitedFor(plan(10, 1))).toBeNull();
  });
});

describe('on a source SR, for the snapshot', () => {
  function plan(allocation: SourceStorage['allocation'], freeBytes: number): ReturnType<typeof planRun> {
    const world = observed('vm 0:root*4 1:data*8');
    const storages = [{ sr: id('sr-source'), allocation, freeBytes }];
    return planRun(jobWith(), { ...world, source: { ...world.source, storages } });
  }

  test('a thin SR that is full to the last megabyte is enough', () => {
    expect(plan('thin', mib).kind).toBe('replicate');
  });

  test.each(['thin', 'thick'] as const)(
    'a %s SR without any space is refused, with figures',
    (allocation) => {
      expect(plan(allocation, 1000)).toMatchObject({
        kind: 'blocked',
        conflicts: [
          {
            kind: 'no-space',
            side: 'source',
            sr: { uuid: 'sr-source' },
            freeBytes: 1000,
            parts: [{ device: '0' }, { device: '1' }],
          },
        ],
      });
    },
  );

  test('a thick SR that may turn out to be too small is noted: how much the guest wrote is not known', () => {
    const planned = plan('thick', 11 * gib);
    expect(planned.kind === 'replicate' ? planned.notes : planned).toContainEqual(
      'source SR "sr-source" (sr-source) has 11.00 GiB free: its snapshot may need up to 12.01 GiB, as much as the guest ' +
        'wrote since the one before',
    );
    expect(plan('thick', 13 * gib)).toMatchObject({
      notes: ['disk 0 is copied in full: the first copy', 'disk 1 is copied in full: the first copy'],
    });
  });
});
