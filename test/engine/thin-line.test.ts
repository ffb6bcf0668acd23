/** Copies between pools whose hosts have a thin line. */
import { compareNewest, leftovers } from './inspect';
import { defaultSpec, Site } from './site';

const mib = 1024 ** 2;

test('a first copy and a delta over a line are equal to their sources', async () => {
  const [source, target] = defaultSpec.pools;
  if (source === undefined || target === undefined) throw new RangeError('a site has two pools');
  const thin = { lineBytesPerSecond: 20_000_000 };
  await using site = await Site.start({
    seed: 1,
    pools: [source, target].map((pool) => ({
      ...pool,
      hosts: pool.hosts.map((host) => ({ ...host, ...thin })),
    })),
  });
  const { control } = site.source;
  const vm = await control.vmUuid('db1');
  const disks = await Promise.all([0, 1].map((device) => control.diskOf(vm, device)));
  for (const [seed, disk] of disks.entries()) await control.fillDisk(disk, 4 * mib, 5 * mib, seed);

  const job = await site.job();
  for (const seed of [7, 8]) {
    const { report } = await site.run(job);
    expect(report.ok).toBe(true);
    for (const { source: from, target: to } of await compareNewest(site, report)) expect(to).toBe(from);
    for (const disk of disks) await control.fillDisk(disk, 6 * mib, mib, seed);
  }
  expect(await leftovers(site)).toEqual([]);
});
