import { compareNewest, disksOf, leftovers } from '../inspect';
import { guestWrites, Site } from '../site';
import { attach, carried, carry, seedJobOf, takeSnapshot, unknownJob } from './carried';

const mib = 1024 ** 2;

describe('attaching a seed that was carried by hand', () => {
  let site: Site;

  beforeEach(async () => {
    site = await Site.start();
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 0, lengthBytes: 3 * mib, fill: 0x11 }]);
    await guestWrites(site.source.control, 'db1', 1, [
      { atBytes: 40 * mib + 512, lengthBytes: 4096, fill: 0x22 },
    ]);
  });

  afterEach(async () => {
    await site[Symbol.asyncDispose]();
  });

  test('the next run is a delta into the carried VM, equal byte for byte', async () => {
    const job = await site.job({ initialCopy: 'seed' });
    const seed = await carried(site);
    await attach(site, seed, seedJobOf(job));
    await guestWrites(site.source.control, 'db1', 1, [{ atBytes: 8 * mib, lengthBytes: 100, fill: 0x33 }]);

    const { report } = await site.run(job);

    expect(report.vms[0]?.outcome).toMatchObject({
      kind: 'replicated',
      copyKind: 'delta',
      replica: { uuid: seed.vm },
    });
    expect(report.vms[0]?.disks.map(({ device, changedBytes }) => [device, changedBytes])).toEqual([
      ['0', 0],
      ['1', 2 * mib],
    ]);
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
    expect(await leftovers(site)).toEqual([]);
  });
});
