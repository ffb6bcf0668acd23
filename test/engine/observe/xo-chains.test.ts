/** What Xen Orchestra left in real pools: never taken for ours, never touched, and recognised while it is at work. */
import { observeSource, sourceLeftovers } from '../../../lib/engine/observe/source';
import { observeTarget, targetLeftovers } from '../../../lib/engine/observe/target';
import { observeXo } from '../../../lib/engine/observe/xo';
import type { World } from '../../../lib/engine/observe/world';
import { encode } from '../../../lib/planner/keys';
import type { Observation } from '../../../lib/planner/observation';
import { planRun } from '../../../lib/planner/plan-run';
import { jobWith } from '../../planner/literals';
import { told } from '../../planner/told';
import { chain } from './xo-chains';

const finished = ['after-delta-1', 'after-variant-c'];
const interrupted = ['interrupted-first-full', 'interrupted-cut-delta', 'interrupted-killed-delta'];

function only<T>(records: ReadonlyMap<string, T>, wanted: (record: T) => boolean): readonly [string, T] {
  const found = [...records].find(([, record]) => wanted(record));
  if (found === undefined) throw new Error('the dump has no such record');
  return found;
}

/** Our own job over the same VM and SR, under the very ids that Xen Orchestra used. */
function observe(
  source: World,
  target: World,
  jobId = '11111111-1111-4111-8111-111111111111',
): { readonly job: ReturnType<typeof jobWith>; readonly seen: Observation } {
  const [vmRef, vm] = only(source.vms, ({ is_a_snapshot }) => !is_a_snapshot);
  const [srRef, sr] = only(target.srs, () => true);
  const job = jobWith({
    jobId,
    target: { poolName: 'target', poolUuid: target.poolUuid, srUuid: sr.uuid },
    networkMap: { 'net-a': 'net-a' },
  });
  return {
    job,
    seen: {
      run: 'run',
      xo: observeXo(source, target, job, { ref: vmRef, record: vm }, []),
      source: observeSource(source, job, vmRef, vm),
      target: observeTarget(target, job, vm.uuid, srRef, sr),
      leftovers: [...sourceLeftovers(source, job, vmRef, vm), ...targetLeftovers(target, job, vm.uuid)],
      missingPermissions: [],
    },
  };
}

describe.each([...finished, ...interrupted])('%s', (name) => {
  test('its objects are nobody’s leftovers, and under another job’s id a full is made beside them', () => {
    const { source, target } = chain(name);
    const { seen } = observe(source, target);
    expect(seen.leftovers).toEqual([]);
    expect(seen.target.replica).toBeNull();
    expect(seen.source.snapshots.map(({ commit }) => commit.kind)).not.toContain('own');
    const other = observe(source, target, 'another-job');
    expect(other.seen.leftovers).toEqual([]);
    expect(told(planRun(other.job, other.seen))).toBe('full 0, full 1');
  });
});

describe('a replica that Xen Orchestra also works on', () => {
  /** The dump, with our mark on its live VM. */
  function adopted(name: string): ReturnType<typeof observe> {
    const { source, target } = chain(name);
    const [vmRef, vm] = only(target.vms, ({ is_a_snapshot }) => !is_a_snapshot);
    const [, sourceVm] = only(source.vms, ({ is_a_snapshot }) => !is_a_snapshot);
    const [, sr] = only(target.srs, () => true);
    const job = '11111111-1111-4111-8111-111111111111';
    const mark = encode.replica({ v: 1, self: vm.uuid, job, sourceVm: sourceVm.uuid, sr: sr.uuid });
    const marked = { ...vm, other_config: { ...vm.other_config, ...mark } };
    return observe(source, { ...target, vms: new Map([...target.vms, [vmRef, marked]]) });
  }

  test.each(interrupted)('%s: half-written, so it is left alone', (name) => {
    const { job, seen } = adopted(name);
    expect(seen.target.replica?.foreignTransfer).toMatch(/^Xen Orchestra: /);
    expect(told(planRun(job, seen))).toBe('blocked: foreign-transfer');
  });

  test.each(finished)('%s: it went on with our replica, so we go on from its newest copy', (name) => {
    const { job, seen } = adopted(name);
    expect(seen.target.replica?.foreignTransfer).toBeNull();
    expect(told(planRun(job, seen))).toBe('adopt: compare-chain');
  });
});
