import { checkSeed, readSeed } from '../../../lib/engine';
import { guestWrites, Site } from '../site';
import { attach, carried, seedJobOf } from './carried';
import type { Carried } from './carried';

const mib = 1024 ** 2;

describe('what stands of a seed', () => {
  let site: Site;
  let seed: Carried;

  beforeEach(async () => {
    site = await Site.start();
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 3 * mib, fill: 0x11 }]);
    seed = await carried(site);
  });

  afterEach(async () => {
    await site[Symbol.asyncDispose]();
  });

  test('before it is attached: nothing, and nothing in the way', async () => {
    const [source, target] = await Promise.all([site.connect('source'), site.connect('target')]);
    const job = seedJobOf(await site.job());
    expect(await readSeed(target, seed.vm)).toBeNull();
    const request = { job, source, target, snapshotUuid: seed.snapshot, targetVmUuid: seed.vm };
    expect((await checkSeed(request)).kind).toBe('attach');
    expect(await checkSeed({ ...request, targetVmUuid: seed.snapshot })).toMatchObject({
      kind: 'blocked',
      conflicts: [{ kind: 'target-missing' }],
    });
  });

  test('attached: job, VM and point; a clone of it is none', async () => {
    const job = await site.job();
    const { report } = await attach(site, seed, seedJobOf(job));
    const target = await site.connect('target');
    expect(await readSeed(target, seed.vm.toUpperCase())).toEqual({
      jobId: job.jobId,
      sourceVmUuid: await site.source.control.vmUuid('db1'),
      srUuid: job.target.srUuid,
      point: { uuid: report.recoveryPoint, sourceSnapshotUuid: seed.snapshot },
    });
    const clone = await target.callTask('VM.clone', [await target.call('VM.get_by_uuid', [seed.vm]), 'copy']);
    expect(await readSeed(target, await target.call('VM.get_uuid', [clone]))).toBeNull();
  });

  test('points of runs are not the point of the seed', async () => {
    const job = await site.job();
    const { report } = await attach(site, seed, seedJobOf(job));
    await site.run(job);
    const target = await site.connect('target');
    expect((await readSeed(target, seed.vm))?.point?.uuid).toBe(report.recoveryPoint);
  });

  test('a mark that cannot be read is no absence', async () => {
    await attach(site, seed, seedJobOf(await site.job()));
    const target = await site.connect('target');
    const ref = await target.call('VM.get_by_uuid', [seed.vm]);
    await target.call('VM.remove_from_other_config', [ref, 'xenrepl:replica']);
    await target.call('VM.add_to_other_config', [ref, 'xenrepl:replica', '{"v":2}']);
    await expect(readSeed(target, seed.vm)).rejects.toMatchObject({ code: 'unreadable' });
  });
});
