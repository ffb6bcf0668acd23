import { disksOf, leftovers } from '../inspect';
import { guestWrites, Site } from '../site';
import { attach, carried, detach, seedJobOf, unknownJob } from './carried';
import { configsOf, leftUnchanged } from './states';

const mib = 1024 ** 2;

describe('detaching a seed', () => {
  let site: Site;

  beforeEach(async () => {
    site = await Site.start();
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 3 * mib, fill: 0x11 }]);
  });

  afterEach(async () => {
    await site[Symbol.asyncDispose]();
  });

  test('takes off everything that attaching wrote, and the VM can be attached again', async () => {
    const seed = await carried(site);
    const before = await leftUnchanged(site);
    const { report } = await attach(site, seed, unknownJob);

    const detached = await detach(site, seed.vm);

    expect(detached).toMatchObject({
      jobId: unknownJob.jobId,
      vm: { uuid: seed.vm },
      removedPoints: [report.recoveryPoint],
      sourceSnapshot: seed.snapshot,
    });
    // All but one flag, which a snapshot cannot get back.
    const expected = before.map((line) =>
      line.includes(seed.snapshot) ? line.replace('template":true', 'template":false') : line,
    );
    expect(await leftUnchanged(site)).toEqual(expected.sort());
    expect(await leftovers(site)).toEqual([]);
    await attach(site, seed, { ...unknownJob, jobId: 'silver' });
  });

  test('leaves what other jobs wrote on the same snapshot', async () => {
    const seed = await carried(site);
    await attach(site, seed, unknownJob);
    const source = await site.connect('source');
    const ref = await source.call('VM.get_by_uuid', [seed.snapshot]);
    await source.call('VM.add_to_other_config', [ref, 'xenrepl:commit:silver:sr', '{"v":9}']);
    await detach(site, seed.vm);
    const left = await configsOf(site, 'source', seed.snapshot);
    expect(Object.keys(left?.config ?? {}).filter((key) => key.includes(':'))).toEqual([
      'xenrepl:commit:silver:sr',
    ]);
  });

  test('works with the source gone, or only its snapshot', async () => {
    const seed = await carried(site);
    await attach(site, seed, unknownJob);
    expect(await detach(site, seed.vm, false)).toMatchObject({ sourceSnapshot: null });
    expect(await configsOf(site, 'target', seed.vm)).toMatchObject({ xoKeys: [] });

    await attach(site, seed, unknownJob);
    const source = await site.connect('source');
    await source.call('VM.destroy', [await source.call('VM.get_by_uuid', [seed.snapshot])]);
    expect(await detach(site, seed.vm)).toMatchObject({ sourceSnapshot: null });
  });

  test('keeps the content and gives the VM free to start', async () => {
    const seed = await carried(site);
    const disk = (await disksOf(site, 'target', seed.vm)).get('0') ?? '';
    const { sha256 } = await site.target.control.digestDisk(disk);
    await attach(site, seed, unknownJob);
    await detach(site, seed.vm);
    expect((await site.target.control.digestDisk(disk)).sha256).toBe(sha256);
    const target = await site.connect('target');
    const ref = await target.call('VM.get_by_uuid', [seed.vm]);
    await target.callTask('VM.start', [ref, false, false]);
    expect(await target.call('VM.get_power_state', [ref])).toBe('Running');
  });

  test.each([
    ['a VM that is not there', 'f0000000-0000-4000-8000-000000000000', 'pool "target" has no VM f0000000'],
    ['a VM that is not attached', null, 'is not attached to any job'],
  ])('is refused for %s', async (_, uuid, said) => {
    const seed = await carried(site);
    await expect(detach(site, uuid ?? seed.vm)).rejects.toMatchObject({
      code: 'seed-missing',
      message: expect.stringContaining(said) as string,
    });
  });

  test('is refused where another job is named', async () => {
    const seed = await carried(site);
    await attach(site, seed, unknownJob);
    await expect(detach(site, seed.vm, true, 'silver')).rejects.toMatchObject({
      code: 'seed-refused',
      message: expect.stringContaining(`attached to job ${unknownJob.jobId}`) as string,
    });
  });

  test('is refused once a run has gone on with it: it is the replica now', async () => {
    const job = await site.job();
    const seed = await carried(site);
    await attach(site, seed, seedJobOf(job));
    expect((await site.run(job)).report.ok).toBe(true);
    await expect(detach(site, seed.vm)).rejects.toMatchObject({
      code: 'seed-continued',
      message: expect.stringContaining('runs have gone on with it') as string,
    });
  });
});
