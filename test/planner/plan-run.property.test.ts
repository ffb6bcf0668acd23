/** What holds for every plan, whatever the pools look like. */
import fc from 'fast-check';
import { describePlan } from '../../lib/planner/describe';
import type { JobDefinition } from '../../lib/planner/job';
import { own } from '../../lib/planner/keys';
import type { Observation } from '../../lib/planner/observation';
import type { Plan, Step } from '../../lib/planner/plan';
import { planRun } from '../../lib/planner/plan-run';
import { observed } from './language';
import { destroyed, told } from './told';
import { jobs, lines } from './worlds';

const runs = { numRuns: 500 };

interface Case {
  readonly job: JobDefinition;
  readonly world: Observation;
  readonly plan: Plan;
  readonly steps: readonly Step[];
}

function everyPlan(holds: (given: Case) => void): void {
  fc.assert(
    fc.property(jobs, lines, (job, text) => {
      const world = observed(text.join('; '));
      const plan = planRun(job, world);
      holds({ job, world, plan, steps: plan.kind === 'blocked' ? [] : plan.steps });
    }),
    runs,
  );
}

function positions(steps: readonly Step[], ...kinds: readonly Step['kind'][]): readonly number[] {
  return steps.flatMap(({ kind }, index) => (kinds.includes(kind) ? [index] : []));
}

test('the worlds are of every kind: first copies, deltas, resumed ones, repairs, refusals', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(jobs, lines, (job, text) => {
      const plan = told(planRun(job, observed(text.join('; '))));
      seen.add(/^(blocked|repair|delta|full|resume)/.exec(plan)?.[0] ?? plan);
      if (plan.includes('resume')) seen.add('resume');
    }),
    // The rarest kind is one in seventy.
    { numRuns: 1000 },
  );
  expect([...seen].sort()).toEqual(['blocked', 'delta', 'full', 'repair', 'resume']);
});

test('a plan is plain JSON, the same for the same world, and as nobody changed what it was given', () => {
  fc.assert(
    fc.property(jobs, lines, (job, text) => {
      const world = observed(text.join('; '));
      const plan = planRun(job, world);
      expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
      expect(planRun(job, observed(text.join('; ')))).toEqual(plan);
      expect(world).toEqual(observed(text.join('; ')));
    }),
    runs,
  );
});

test('in whatever order a pool lists its objects, the decision is the same', () => {
  fc.assert(
    fc.property(jobs, lines, (job, text) => {
      const backwards = [...text].reverse().join('; ');
      expect(told(planRun(job, observed(backwards)))).toBe(told(planRun(job, observed(text.join('; ')))));
    }),
    runs,
  );
});

test('a refusal has reasons and no steps; anything else has steps', () => {
  everyPlan(({ plan }) => {
    if (plan.kind === 'blocked') {
      expect(plan.conflicts.length).toBeGreaterThan(0);
      expect(plan).not.toHaveProperty('steps');
    } else expect(plan.steps.length).toBeGreaterThan(0);
  });
});

test('every step has words', () => {
  everyPlan(({ plan, steps }) => {
    const words = describePlan(plan);
    expect(words.length).toBeGreaterThan(steps.length);
    for (const line of words) expect(line).not.toMatch(/undefined|null|\[object|^$/);
  });
});

describe('every delta starts from a base that is committed on both sides', () => {
  test('by this job, for this replica, each naming the other and the very disks', () => {
    everyPlan(({ world, steps }) => {
      for (const step of steps) {
        if (step.kind !== 'copy-disk' || step.copy.kind !== 'delta') continue;
        const { device, base, sourceVdi } = step.copy;
        const point = world.target.replica?.points.find(({ disks }) =>
          disks.some(({ vdi }) => vdi.uuid === base.pointVdi.uuid),
        );
        const snapshot = world.source.snapshots.find(({ disks }) =>
          disks.some(({ vdi }) => vdi.uuid === base.sourceVdi.uuid),
        );
        expect(own(point?.commit ?? { kind: 'absent' })).toMatchObject({
          job: 'gold',
          replica: 'R',
          sourceVm: 'vm',
          sourceSnapshot: snapshot?.id.uuid,
          disks: expect.arrayContaining([
            expect.objectContaining({ device, vdi: base.pointVdi.uuid, sourceVdi: base.sourceVdi.uuid }),
          ]) as unknown,
        });
        expect(own(snapshot?.commit ?? { kind: 'absent' })).toMatchObject({
          job: 'gold',
          sr: 'sr',
          replica: 'R',
          point: point?.id.uuid,
          disks: expect.arrayContaining([
            expect.objectContaining({ device, vdi: base.sourceVdi.uuid, pointVdi: base.pointVdi.uuid }),
          ]) as unknown,
        });
        // And the snapshot disk is one of the disk that is copied, on the same SR.
        const inBase = snapshot?.disks.find((disk) => disk.device === device);
        const live = world.source.disks.find((disk) => disk.device === device);
        expect(inBase).toMatchObject({ isSnapshot: true, snapshotOf: sourceVdi.uuid, sr: live?.sr });
      }
    });
  });

  test('and every disk of the VM is copied exactly once, into a disk that this plan makes or goes on with', () => {
    everyPlan(({ world, plan, steps }) => {
      if (plan.kind !== 'replicate') return;
      const copied = steps.flatMap((step) => (step.kind === 'copy-disk' ? [step.copy.device] : []));
      const done = steps.flatMap((step) =>
        step.kind === 'resume-disk' && step.progress.complete ? [step.device] : [],
      );
      const made = steps.flatMap((step) => {
        if (step.kind === 'clone-base') return step.devices;
        return step.kind === 'create-disk' || step.kind === 'resume-disk' ? [step.device] : [];
      });
      const all = world.source.disks.map(({ device }) => device).sort();
      expect([...copied, ...done].sort()).toEqual(all);
      expect([...made].sort()).toEqual(all);
    });
  });
});

describe('destruction', () => {
  test('comes after the commit on both sides; only leftovers go before', () => {
    everyPlan(({ steps }) => {
      const [committed = -1] = positions(steps, 'commit-source');
      for (const at of positions(steps, 'destroy-point', 'destroy-source-snapshot', 'retire-points')) {
        expect(at).toBeGreaterThan(committed);
        expect(committed).toBeGreaterThan(-1);
      }
      for (const at of positions(steps, 'discard-leftover')) {
        expect(at).toBeLessThan(positions(steps, 'snapshot-source', 'resume-snapshot')[0] ?? -1);
      }
    });
  });

  test('never concerns the newest base before there is a newer one, nor a disk that it needs', () => {
    everyPlan(({ plan, steps }) => {
      if (plan.kind !== 'replicate' || plan.base === null) return;
      const { base } = plan;
      const needed = new Set([
        base.point.uuid,
        base.sourceSnapshot.uuid,
        ...base.disks.flatMap(({ pointVdi, sourceVdi }) => [pointVdi.uuid, sourceVdi.uuid]),
      ]);
      const [committed = 0] = positions(steps, 'commit-source');
      for (const step of steps.slice(0, committed)) {
        const named = step.kind === 'discard-leftover' ? [step.leftover.id, ...step.leftover.disks] : [];
        for (const { uuid } of named) expect(needed).not.toContain(uuid);
        expect(destroyed(step)).toBeNull();
      }
    });
  });

  test('never concerns what the plan goes on with', () => {
    everyPlan(({ steps }) => {
      const discarded = steps.flatMap((step) =>
        step.kind === 'discard-leftover' ? [step.leftover.id.uuid] : [],
      );
      for (const step of steps) {
        if (step.kind === 'resume-snapshot') expect(discarded).not.toContain(step.snapshot.uuid);
        if (step.kind === 'resume-disk') expect(discarded).not.toContain(step.vdi.uuid);
      }
    });
  });

  test('concerns only what bears our commit, with the disks that it names and no others', () => {
    everyPlan(({ world, steps }) => {
      for (const step of steps) {
        if (step.kind === 'discard-leftover') expect(world.leftovers).toContain(step.leftover);
        if (step.kind === 'destroy-point') {
          const point = world.target.replica?.points.find(({ id }) => id.uuid === step.point.uuid);
          const commit = own(point?.commit ?? { kind: 'absent' });
          expect(commit).toMatchObject({ job: 'gold', replica: 'R', self: step.point.uuid });
          for (const { uuid } of step.disks) expect(commit?.disks.map(({ vdi }) => vdi)).toContain(uuid);
        }
        if (step.kind === 'destroy-source-snapshot') {
          const snapshot = world.source.snapshots.find(({ id }) => id.uuid === step.snapshot.uuid);
          expect(own(snapshot?.commit ?? { kind: 'absent' })).toMatchObject({
            self: step.snapshot.uuid,
            job: 'gold',
            sr: 'sr',
          });
          expect(snapshot?.otherCommits).toEqual([]);
          const live = world.source.disks.map(({ vdi }) => vdi.uuid);
          for (const { uuid } of step.disks) expect(live).not.toContain(uuid);
        }
      }
    });
  });

  test('leaves as many recovery points as the job keeps, the newest ones', () => {
    everyPlan(({ job, world, plan, steps }) => {
      if (plan.kind !== 'replicate') return;
      const gone = new Set(steps.map(destroyed));
      const ours = (world.target.replica?.points ?? [])
        .filter(({ commit, disks }) => {
          const record = own(commit);
          return (
            record?.job === 'gold' &&
            record.replica === 'R' &&
            record.sr === 'sr' &&
            record.sourceVm === 'vm' &&
            record.disks.every(({ vdi }) => disks.some((disk) => disk.vdi.uuid === vdi))
          );
        })
        .map(({ id }) => id.uuid)
        .sort()
        .reverse();
      expect(ours.filter((uuid) => !gone.has(uuid))).toEqual(ours.slice(0, job.retention.latest - 1));
    });
  });
});

describe('an announced exchange', () => {
  test('is dealt with before anything is copied', () => {
    everyPlan(({ world, plan }) => {
      if (plan.kind === 'replicate') expect(world.target.replica?.swap.kind ?? 'absent').toBe('absent');
    });
  });

  test('is finished only while every new disk is there as it was filled, and nobody else has it', () => {
    everyPlan(({ world, plan, steps }) => {
      if (plan.kind !== 'repair' || plan.swap === null) return;
      if (positions(steps, 'commit-target').length === 0) return;
      for (const disk of plan.swap.disks) {
        const announced = world.target.replica?.announced.find(({ uuid }) => uuid === disk.newVdi);
        expect(announced?.found).toEqual({ contentId: disk.newContentId, usedBy: [] });
      }
    });
  });

  test('is taken back only while the replica has every disk from before; nothing is destroyed with it', () => {
    everyPlan(({ world, plan, steps }) => {
      if (plan.kind !== 'repair' || positions(steps, 'abandon-swap').length === 0) return;
      expect(steps).toHaveLength(1);
      for (const { device, oldVdi } of plan.swap?.disks ?? []) {
        const present = world.target.replica?.disks.find((disk) => disk.device === device);
        expect(present?.vdi.uuid ?? null).toBe(oldVdi);
      }
    });
  });

  test('destroys the old disks only where they are as they were announced, or the job is told to overwrite', () => {
    everyPlan(({ job, world, plan, steps }) => {
      if (plan.kind !== 'repair' || plan.swap === null || job.onDivergence === 'overwrite') return;
      if (positions(steps, 'swap-disks').length === 0) return;
      for (const { device, oldVdi, oldContentId } of [...plan.swap.disks, ...plan.swap.removed]) {
        const present = world.target.replica?.disks.find((disk) => disk.device === device);
        if (present?.vdi.uuid === oldVdi) expect(present.contentId).toBe(oldContentId);
      }
    });
  });
});

test('nothing is written to a replica that is not halted, diverged, or in the hands of another program', () => {
  everyPlan(({ job, world, plan }) => {
    const { replica } = world.target;
    if (plan.kind === 'blocked' || replica === null) return;
    expect(replica.powerState).toBe('Halted');
    expect(replica.foreignTransfer).toBeNull();
    if (plan.kind === 'replicate' && job.onDivergence === 'fail')
      expect(replica.disks.filter(({ changed }) => changed !== 'no')).toEqual([]);
  });
});

test('a full where a base was lost happens only when the job says so', () => {
  everyPlan(({ job, world, plan }) => {
    if (plan.kind !== 'replicate' || job.onMissingBase === 'full' || plan.base !== null) return;
    expect(world.target.replica?.points ?? []).toEqual([]);
  });
});
