/** Announcements that cannot be kept: taken back where that harms nobody, shown to a person otherwise. */
import type { RunReport } from '../../../lib/engine';
import { heldOffText } from '../../../lib/engine/steps/swap';
import { encode } from '../../../lib/planner/keys';
import type { SwapDisk } from '../../../lib/planner/keys';
import type { JobDefinition } from '../../../lib/planner/job';
import type { Pool, Ref } from '../../../lib/xapi';
import { compareNewest, disksOf, leftovers } from '../inspect';
import { guestWrites, Site } from '../site';

type Replicated = Extract<RunReport['vms'][number]['outcome'], { readonly kind: 'replicated' }>;

interface Announced {
  readonly site: Site;
  readonly job: JobDefinition;
  readonly target: Pool;
  readonly replica: Ref<'VM'>;
}

/** A replica with one recovery point, on which a dead run announced `disks` and held operations off. */
async function announced(
  site: Site,
  change: (live: SwapDisk, target: Pool) => Promise<SwapDisk> | SwapDisk,
): Promise<Announced> {
  const job = await site.job();
  const first = outcomeOf((await site.run(job)).report);
  const target = await site.connect('target');
  const replica = await target.call('VM.get_by_uuid', [first.replica.uuid]);
  const source = await site.connect('source');
  const sourceVm = await source.call('VM.get_uuid', [await onlyVm(source)]);
  const { VBDs } = await target.call('VM.get_record', [replica]);
  const disks: SwapDisk[] = [];
  for (const vbd of VBDs) {
    const { VDI, userdevice } = await target.call('VBD.get_record', [vbd]);
    const { uuid, other_config: config } = await target.call('VDI.get_record', [VDI]);
    const contentId = config['content_id'] ?? null;
    const live: SwapDisk = {
      device: userdevice,
      oldVdi: uuid,
      oldContentId: contentId,
      newVdi: uuid,
      newContentId: contentId,
      sourceVdi: 'a disk of the dead run’s snapshot',
      sizeBytes: 1,
      bootable: userdevice === '0',
      digest: 'sha256:00',
    };
    disks.push(await change(live, target));
  }
  const record = {
    v: 1,
    self: first.replica.uuid,
    job: job.jobId,
    run: 'dead-run',
    sourceVm,
    sourceSnapshot: 'the dead run’s snapshot',
    sr: job.target.srUuid,
    kind: 'delta',
    takenAtMs: 1,
    disks,
    removed: [],
  } as const;
  const [[key, value] = ['', '']] = Object.entries(encode.swap(record));
  await target.call('VM.add_to_other_config', [replica, key, value]);
  for (const operation of ['clone', 'snapshot'] as const)
    await target.call('VM.add_to_blocked_operations', [replica, operation, heldOffText]);
  return { site, job, target, replica };
}

async function onlyVm(pool: Pool): Promise<Ref<'VM'>> {
  const [vm] = await pool.call('VM.get_by_name_label', ['db1']);
  if (vm === undefined) throw new Error('no VM db1');
  return vm;
}

function outcomeOf(report: RunReport): Replicated {
  const outcome = report.vms[0]?.outcome;
  if (outcome?.kind !== 'replicated') throw new Error(`not replicated: ${JSON.stringify(outcome)}`);
  return outcome;
}

/** A disk that a dead run filled, with its mark; never attached. */
async function stagedDisk(target: Pool, job: string, sourceVm: string): Promise<string> {
  const [sr] = await target.call('SR.get_by_name_label', ['target-sr']);
  const ref = await target.callTask('VDI.create', [
    {
      name_label: 'staged',
      name_description: '',
      SR: sr as Ref<'SR'>,
      virtual_size: 32 * 1024 ** 2,
      type: 'user',
      sharable: false,
      read_only: false,
      other_config: {},
      xenstore_data: {},
      sm_config: {},
      tags: [],
    },
  ]);
  const uuid = await target.call('VDI.get_uuid', [ref]);
  const mark = encode.staging({ v: 1, self: uuid, job, run: 'dead-run', sourceVm, device: '0' });
  await target.call('VDI.set_other_config', [ref, mark]);
  return uuid;
}

describe('an announced exchange whose new disks are gone', () => {
  test('is taken back while the old disks are all attached; the run goes on with a delta and leaves nothing', async () => {
    await using site = await Site.start();
    const { job } = await announced(site, (live) => ({ ...live, newVdi: 'a disk that is gone' }));

    const { report, events } = await site.run(job);

    expect(outcomeOf(report).copyKind).toBe('delta');
    const steps = events.flatMap((event) => (event.kind === 'step-finished' ? [event.step] : []));
    expect(steps[0]).toBe('abandon-swap');
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
    expect(await leftovers(site)).toEqual([]);
  });

  test('so is one whose new disk was written to after it was filled; what is left of it is discarded', async () => {
    await using site = await Site.start();
    const source = await site.connect('source');
    const sourceVm = await source.call('VM.get_uuid', [await onlyVm(source)]);
    const { job, target } = await announced(site, async (live, pool) => {
      const newVdi = await stagedDisk(pool, (await site.job()).jobId, sourceVm);
      return { ...live, newVdi, newContentId: 'as it was filled' };
    });

    const { report } = await site.run(job);

    expect(outcomeOf(report).copyKind).toBe('delta');
    const names = Object.values(await target.call('VDI.get_all_records', [])).map((vdi) => vdi.name_label);
    expect(names).not.toContain('staged');
    expect(await leftovers(site)).toEqual([]);
  });

  test('is left to a person where an old disk is not attached any more; nothing is touched', async () => {
    await using site = await Site.start();
    const { job, target, replica } = await announced(site, (live) => ({
      ...live,
      oldVdi: live.device === '0' ? 'another disk' : live.oldVdi,
      newVdi: 'a disk that is gone',
    }));
    const before = await target.call('VM.get_record', [replica]);

    const { report } = await site.run(job);

    expect(report.vms[0]?.outcome).toMatchObject({ kind: 'blocked', error: { code: 'blocked' } });
    expect(JSON.stringify(report.vms[0]?.outcome)).toContain(
      'new disk a disk that is gone for device 0 is gone',
    );
    const after = await target.call('VM.get_record', [replica]);
    expect(after.VBDs).toEqual(before.VBDs);
    expect(after.other_config).toEqual(before.other_config);
    expect(after.blocked_operations).toEqual(before.blocked_operations);
  });
});

test('what somebody writes to the replica while a transfer runs is not destroyed in the end', async () => {
  await using site = await Site.start();
  const job = await site.job();
  await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 4096, fill: 0x11 }]);
  const first = outcomeOf((await site.run(job)).report);
  const live = (await disksOf(site, 'target', first.replica.uuid)).get('0') ?? '';
  const writes: Promise<void>[] = [];

  // Right after the decision, which found the replica as its recovery point: a whole transfer is still to come.
  const { report, events } = await site.run(job, {
    context: {
      emit: ({ kind }) => {
        if (kind !== 'planned' || writes.length > 0) return;
        writes.push(site.target.control.writeDisk(live, 4096, Buffer.alloc(512, 0x77)));
      },
    },
  });
  await Promise.all(writes);

  expect(events.find(({ kind }) => kind === 'warning')).toMatchObject({
    text: expect.stringContaining('is not as it was before the transfer') as unknown,
  });
  expect(JSON.stringify(report.vms[0]?.outcome)).toContain('was written to since its newest recovery point');
  expect((await disksOf(site, 'target', first.replica.uuid)).get('0')).toBe(live);
  expect(Buffer.from(await site.target.control.readDisk(live, 4096, 512))).toEqual(Buffer.alloc(512, 0x77));
  expect(await leftovers(site)).toEqual([]);
});
