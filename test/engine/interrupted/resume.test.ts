/** A copy that was interrupted goes on from its last confirmed segment, once it is proved to be the same copy. */
import { compareNewest, leftovers } from '../inspect';
import { guestWrites, Site } from '../site';
import { DoomedRuns } from './doomed-run';
import type { RunOutcome } from '../site';

const mib = 1024 ** 2;
const leaseMs = 125_000;
const segmentBytes = 4 * mib;
/** As the doomed runs cut theirs. */
const limits = { bytesMax: segmentBytes, durationMaxMs: 60_000 };

describe('resuming an interrupted copy', () => {
  let doomed: DoomedRuns;
  let site: Site;

  beforeAll(async () => {
    doomed = await DoomedRuns.build();
  });

  afterAll(() => {
    doomed[Symbol.dispose]();
  });

  beforeEach(async () => {
    site = await Site.start();
    // 40 MiB of data on a disk of 64 MiB, 8 MiB on the other one, which is done before.
    for (let at = 0; at < 40; at += 8) {
      await guestWrites(site.source.control, 'db1', 1, [
        { atBytes: at * mib, lengthBytes: 8 * mib, fill: at + 1 },
      ]);
    }
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 512, fill: 9 }]);
  });

  afterEach(async () => {
    await site[Symbol.asyncDispose]();
  });

  async function secondRun(): Promise<RunOutcome> {
    await site.target.control.advanceClock(leaseMs);
    return site.run(await site.job(), { limits });
  }

  function sent({ report }: RunOutcome, device: string): number {
    return report.vms[0]?.disks.find((disk) => disk.device === device)?.sentBytes ?? 0;
  }

  async function holds(outcome: RunOutcome): Promise<void> {
    expect(outcome.report.vms.map((vm) => vm.outcome)).toMatchObject([{ kind: 'replicated' }]);
    for (const { source, target } of await compareNewest(site, outcome.report)) expect(target).toBe(source);
    expect(await leftovers(site)).toEqual([]);
  }

  test('killed at 70 %, the next run sends at most 30 % and one segment', async () => {
    await doomed.run(site, await site.job(), { kind: 'sent', bytes: 28 * mib });

    const outcome = await secondRun();

    await holds(outcome);
    expect(sent(outcome, '1')).toBeLessThanOrEqual(12 * mib + segmentBytes + 4096);
    expect(sent(outcome, '1')).toBeGreaterThan(0);
    expect(outcome.report.vms[0]?.notes.join(' ')).toContain('disk 1 goes on from');
  });

  test('killed in a delta at 70 %, the next run goes on in the same clone of the same base', async () => {
    expect((await site.run(await site.job())).report.ok).toBe(true);
    for (let at = 0; at < 40; at += 8) {
      await guestWrites(site.source.control, 'db1', 1, [
        { atBytes: at * mib, lengthBytes: 8 * mib, fill: at + 101 },
      ]);
    }
    await doomed.run(site, await site.job(), { kind: 'sent', bytes: 28 * mib });

    const outcome = await secondRun();

    await holds(outcome);
    expect(outcome.report.vms[0]?.outcome).toMatchObject({ copyKind: 'delta' });
    expect(sent(outcome, '1')).toBeLessThanOrEqual(12 * mib + segmentBytes + 4096);
  });

  test('what the guest wrote after the interruption is not part of the copy: it comes with the next delta', async () => {
    await doomed.run(site, await site.job(), { kind: 'sent', bytes: 28 * mib });
    await guestWrites(site.source.control, 'db1', 1, [{ atBytes: 2 * mib, lengthBytes: 4096, fill: 0xee }]);

    const resumed = await secondRun();
    await holds(resumed);

    const delta = await site.run(await site.job());
    await holds(delta);
    expect(delta.report.vms[0]?.outcome).toMatchObject({ copyKind: 'delta' });
    expect(sent(delta, '1')).toBeGreaterThan(0);
  });

  test('a disk that was added meanwhile makes it another copy: it starts again, and nothing stays behind', async () => {
    await doomed.run(site, await site.job(), { kind: 'sent', bytes: 28 * mib });
    const source = await site.connect('source');
    const [sr] = await source.call('SR.get_by_name_label', ['source-sr']);
    const vdi = await source.call('VDI.create', [
      {
        name_label: 'added',
        name_description: '',
        SR: sr as never,
        virtual_size: 4 * mib,
        type: 'user',
        sharable: false,
        read_only: false,
        other_config: {},
        xenstore_data: {},
        sm_config: {},
        tags: [],
      },
    ]);
    await source.call('VBD.create', [
      {
        VM: await source.call('VM.get_by_uuid', [await site.source.control.vmUuid('db1')]),
        VDI: vdi,
        userdevice: '7',
        bootable: false,
        mode: 'RW',
        type: 'Disk',
        unpluggable: true,
        empty: false,
        other_config: {},
        qos_algorithm_type: '',
        qos_algorithm_params: {},
      },
    ]);

    const outcome = await secondRun();

    await holds(outcome);
    expect(sent(outcome, '1')).toBeGreaterThan(39 * mib);
  });

  test('progress that speaks of another content is found out, and the copy starts again by itself', async () => {
    await doomed.run(site, await site.job(), { kind: 'sent', bytes: 28 * mib });
    const target = await site.connect('target');
    for (const [ref, vdi] of Object.entries(await target.call('VDI.get_all_records', []))) {
      const value = vdi.other_config['xenrepl:progress'];
      if (value === undefined) continue;
      const forged = { ...(JSON.parse(value) as object), digest: `sha256:${'0'.repeat(64)}` };
      await target.call('VDI.remove_from_other_config', [ref as never, 'xenrepl:progress']);
      await target.call('VDI.add_to_other_config', [
        ref as never,
        'xenrepl:progress',
        JSON.stringify(forged),
      ]);
    }

    const outcome = await secondRun();

    await holds(outcome);
    expect(outcome.report.vms[0]?.attempts).toBe(2);
    expect(sent(outcome, '1')).toBeGreaterThan(39 * mib);
  });
});
