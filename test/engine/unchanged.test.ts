/** A run that finds nothing changed: a new recovery point, without anything being cloned, exchanged or filled. */
import { keepLatest } from '../../lib/planner/job';
import { compareNewest, disksOf, leftovers } from './inspect';
import { guestWrites, Site } from './site';
import type { RunOutcome } from './site';

const mib = 1024 ** 2;

describe('a run in which nothing changed', () => {
  let site: Site;

  beforeEach(async () => {
    site = await Site.start();
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: mib, lengthBytes: 4096, fill: 7 }]);
    await guestWrites(site.source.control, 'db1', 1, [{ atBytes: mib, lengthBytes: 4096, fill: 8 }]);
    expect((await site.run(await job())).report.ok).toBe(true);
  });

  afterEach(async () => {
    await site[Symbol.asyncDispose]();
  });

  function job(): ReturnType<Site['job']> {
    return site.job({ retention: keepLatest(2) });
  }

  function stepsOf({ events }: RunOutcome): readonly string[] {
    return events.flatMap((event) => (event.kind === 'step-finished' ? [event.step] : []));
  }

  async function holds(outcome: RunOutcome): Promise<void> {
    expect(outcome.report.vms.map((vm) => vm.outcome)).toMatchObject([{ kind: 'replicated' }]);
    for (const { source, target } of await compareNewest(site, outcome.report)) expect(target).toBe(source);
    expect(await leftovers(site)).toEqual([]);
  }

  async function liveDisks(): Promise<readonly string[]> {
    const target = await site.connect('target');
    const { VM } = await target.read({ VM: 'all' });
    const replica = [...VM.values()].find(
      (vm) => !vm.is_a_snapshot && vm.other_config['xenrepl:replica'] !== undefined,
    );
    return [...(await disksOf(site, 'target', replica?.uuid ?? 'none')).values()];
  }

  test('makes a recovery point of the disks that are there', async () => {
    const before = await liveDisks();

    const outcome = await site.run(await job());

    await holds(outcome);
    expect(await liveDisks()).toEqual(before);
    expect(stepsOf(outcome)).not.toContain('clone-base');
    expect(stepsOf(outcome)).not.toContain('swap-disks');
    expect(outcome.report.vms[0]?.disks).toMatchObject([{ sentBytes: 0 }, { sentBytes: 0 }]);
  });

  test('of a VM with a disk that is always empty is short, too, from the third run on', async () => {
    // Storage gives a disk a content id when it is written to, or cloned: nothing was ever sent to this one.
    await using other = await Site.start();
    await guestWrites(other.source.control, 'db1', 0, [{ atBytes: mib, lengthBytes: 4096, fill: 7 }]);
    const given = await other.job({ retention: keepLatest(2) });
    await other.run(given);
    expect(stepsOf(await other.run(given))).toContain('swap-disks');
    const third = await other.run(given);
    expect(third.report.ok).toBe(true);
    expect(stepsOf(third)).toContain('keep-disks');
    expect(stepsOf(third)).not.toContain('clone-base');
    for (const { source, target } of await compareNewest(other, third.report)) expect(target).toBe(source);
  });

  test('is followed by deltas as any other', async () => {
    await site.run(await job());
    await guestWrites(site.source.control, 'db1', 1, [{ atBytes: 9 * mib, lengthBytes: 4096, fill: 8 }]);

    const outcome = await site.run(await job());

    await holds(outcome);
    expect(outcome.report.vms[0]?.outcome).toMatchObject({ copyKind: 'delta' });
    expect(outcome.report.vms[0]?.disks).toMatchObject([{ sentBytes: 0 }, { changedBytes: 2 * mib }]);
    expect(stepsOf(outcome)).toContain('swap-disks');
  });

  test('costs at most 60 calls where retention removes a point and a snapshot', async () => {
    await site.run(await job());
    await site.run(await job());
    const sent: string[] = [];
    const onCall = (method: string): unknown => sent.push(method);

    const outcome = await site.run(await job(), { connect: { onCall } });

    expect(outcome.report.ok).toBe(true);
    // Logging in and out is no part of the run.
    const first = sent.lastIndexOf('host.get_record') + 1;
    const calls = sent.slice(first).filter((method) => method !== 'session.logout');
    expect(calls.length).toBeLessThanOrEqual(60);
  });

  test('does not keep a disk that is written to while the recovery point is made', async () => {
    const meddled: Promise<void>[] = [];
    const [disk] = await liveDisks();
    const outcome = await site.run(await job(), {
      context: {
        emit: (event) => {
          if (event.kind !== 'step-started' || event.step !== 'keep-disks') return;
          meddled.push(site.target.control.writeDisk(disk ?? 'none', 0, Buffer.alloc(4096, 1)));
        },
      },
    });

    expect(meddled).toHaveLength(1);
    await Promise.all(meddled);
    // Either the look before or the look at the snapshot finds it; the next plan calls it a divergence.
    expect(outcome.report.vms[0]?.outcome).toMatchObject({ kind: 'blocked' });
    expect(await leftovers(site)).toEqual([]);
  });
});
