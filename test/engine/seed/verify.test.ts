import { digestOf } from '../../../lib/engine/seed/blocks';
import { compareNewest, disksOf } from '../inspect';
import { guestWrites, Site } from '../site';
import { attach, carried, seedJobOf, unknownJob } from './carried';
import type { Carried } from './carried';
import { leftUnchanged } from './states';

const mib = 1024 ** 2;

describe('comparing a seed with its snapshot', () => {
  let site: Site;
  let seed: Carried;

  beforeEach(async () => {
    site = await Site.start();
    await guestWrites(site.source.control, 'db1', 0, [
      { atBytes: 0, lengthBytes: 3 * mib, fill: 0x11 },
      { atBytes: 20 * mib, lengthBytes: 2 * mib, fill: 0x12 },
    ]);
    await guestWrites(site.source.control, 'db1', 1, [
      { atBytes: 40 * mib + 512, lengthBytes: 4096, fill: 0x22 },
    ]);
    seed = await carried(site);
  });

  afterEach(async () => {
    await site[Symbol.asyncDispose]();
  });

  async function flip(device: string, atBytes: number): Promise<void> {
    const disk = (await disksOf(site, 'target', seed.vm)).get(device) ?? '';
    const [byte = 0] = await site.target.control.readDisk(disk, atBytes, 1);
    await site.target.control.writeDisk(disk, atBytes, Buffer.from([byte ^ 1]));
  }

  describe('in full', () => {
    test('says that every byte of every disk was compared', async () => {
      const { report } = await attach(site, seed, unknownJob, { verify: 'full' });
      expect(report.disks).toEqual([
        {
          device: '0',
          mode: 'full',
          against: 'source',
          comparedBytes: 32 * mib,
          sizeBytes: 32 * mib,
          differingBlocks: 0,
          repairedBlocks: 0,
        },
        expect.objectContaining({ device: '1', comparedBytes: 64 * mib, sizeBytes: 64 * mib }),
      ]);
    });

    test.each([
      ['in the first sector', '0', 0],
      ['in the last block', '0', 32 * mib - 1],
      ['between what was ever written', '0', 11 * mib],
      ['on the second disk', '1', 40 * mib + 513],
      ['far behind what was ever written', '1', 63 * mib],
    ])('finds one flipped byte %s, and changes nothing', async (_, device, atBytes) => {
      await flip(device, atBytes);
      const before = await leftUnchanged(site);
      await expect(attach(site, seed, unknownJob, { verify: 'full' })).rejects.toMatchObject({
        code: 'seed-differs',
        message: expect.stringContaining(`disk ${device}: 1 block(s) of 2 MiB`) as string,
      });
      expect(await leftUnchanged(site)).toEqual(before);
    });

    test('finds blocks that the seed lacks', async () => {
      const disk = (await disksOf(site, 'target', seed.vm)).get('0') ?? '';
      await site.target.control.writeDisk(disk, 20 * mib, Buffer.alloc(2 * mib));
      await expect(attach(site, seed, unknownJob, { verify: 'full' })).rejects.toThrow('disk 0: 1 block(s)');
    });

    test('takes zeros for equal, written or not', async () => {
      const disk = (await disksOf(site, 'target', seed.vm)).get('1') ?? '';
      await site.target.control.writeDisk(disk, 10 * mib, Buffer.alloc(4 * mib));
      const { report } = await attach(site, seed, unknownJob, { verify: 'full' });
      expect(report.disks.map(({ differingBlocks }) => differingBlocks)).toEqual([0, 0]);
    });

    test('leaves the mark by which Xen Orchestra trusts the copy; less leaves none', async () => {
      await attach(site, seed, unknownJob, { verify: 'full' });
      const { VM = {} } = await site.target.control.inventory();
      const marked = Object.values(VM).filter(({ other_config: config }) =>
        Object.hasOwn(config as object, 'xo:backup:includeNonNbdQcow2Fix'),
      );
      expect(marked).toHaveLength(1);
    });

    test('does not believe a stream whose task fails in the end', async () => {
      await site.target.control.addFault({ match: { transfer: 'export' }, effect: { kind: 'late-failure' } });
      const before = await leftUnchanged(site);
      await expect(attach(site, seed, unknownJob, { verify: 'full' })).rejects.toMatchObject({
        code: 'VDI_IO_ERROR',
      });
      expect(await leftUnchanged(site)).toEqual(before);
    });
  });

  describe('as a sample', () => {
    const sampleBytes = 4 * mib;

    test('says up to which position every byte was compared, and reads no more', async () => {
      await site.target.control.resetCounters();
      const { report } = await attach(site, seed, unknownJob, { sampleBytes });
      // Blocks 0, 1 of disk 0 hold data; disk 1 has one such block, which is less than the sample.
      expect(report.disks).toMatchObject([
        { mode: 'sampled', comparedBytes: 4 * mib },
        { mode: 'sampled', comparedBytes: 64 * mib },
      ]);
    });

    test('finds a flipped byte within it', async () => {
      await flip('0', 4 * mib - 1);
      await expect(attach(site, seed, unknownJob, { sampleBytes })).rejects.toMatchObject({
        code: 'seed-differs',
        message: expect.stringContaining('at least 1 block(s)') as string,
      });
    });

    test('finds data where the source has none within it', async () => {
      await flip('1', 0);
      await expect(attach(site, seed, unknownJob, { sampleBytes })).rejects.toMatchObject({
        code: 'seed-differs',
      });
    });

    test('claims nothing about what lies behind it', async () => {
      await flip('0', 21 * mib);
      const { report } = await attach(site, seed, unknownJob, { sampleBytes });
      expect(report.disks[0]?.comparedBytes).toBeLessThanOrEqual(20 * mib);
    });

    test('is what happens when nothing else is said, and covers small disks whole', async () => {
      const { report } = await attach(site, seed, unknownJob);
      expect(report.disks).toMatchObject([
        { mode: 'sampled', comparedBytes: 32 * mib },
        { mode: 'sampled', comparedBytes: 64 * mib },
      ]);
    });
  });

  test('not at all: nothing is read', async () => {
    await flip('0', 0);
    await site.source.control.resetCounters();
    const { report } = await attach(site, seed, unknownJob, { verify: 'none' });
    expect(report.disks).toMatchObject([{ comparedBytes: 0 }, { comparedBytes: 0 }]);
    expect((await site.source.control.counters()).bytesExported).toBe(0);
  });

  describe('against the digests of the export', () => {
    const digests = new Map([
      ['0', Array.from({ length: 16 }, () => null as string | null)],
      ['1', Array.from({ length: 32 }, () => null as string | null)],
    ]);

    beforeEach(async () => {
      for (const [device, vdi] of await disksOf(site, 'source', seed.snapshot)) {
        const list = digests.get(device) ?? [];
        for (let index = 0; index < list.length; index += 1) {
          const block = await site.source.control.readDisk(vdi, index * 2 * mib, 2 * mib);
          list[index] = block.every((byte) => byte === 0) ? null : digestOf(block);
        }
      }
    });

    test('only the target is read', async () => {
      await site.source.control.resetCounters();
      const { report } = await attach(site, seed, unknownJob, { verify: 'full', manifest: digests });
      expect(report.disks).toMatchObject([
        { against: 'manifest', comparedBytes: 32 * mib, differingBlocks: 0 },
        { against: 'manifest', comparedBytes: 64 * mib, differingBlocks: 0 },
      ]);
      expect((await site.source.control.counters()).bytesExported).toBe(0);
    });

    test.each([
      ['changed', '0', 2 * mib + 5],
      ['in place of zeros', '1', 63 * mib],
    ])('a byte %s is found', async (_, device, atBytes) => {
      await flip(device, atBytes);
      await expect(attach(site, seed, unknownJob, { verify: 'full', manifest: digests })).rejects.toThrow(
        `disk ${device}: 1 block(s)`,
      );
    });

    test('a block that the target lacks is found', async () => {
      const disk = (await disksOf(site, 'target', seed.vm)).get('0') ?? '';
      await site.target.control.writeDisk(disk, 20 * mib, Buffer.alloc(2 * mib));
      await expect(attach(site, seed, unknownJob, { verify: 'full', manifest: digests })).rejects.toThrow(
        'disk 0: 1 block(s)',
      );
    });
  });

  describe('and repairing', () => {
    test('sends the blocks that differ and no others; the next run is a delta', async () => {
      const job = await site.job();
      await flip('0', 0);
      await flip('0', 11 * mib);
      await flip('1', 63 * mib);
      const disk = (await disksOf(site, 'target', seed.vm)).get('0') ?? '';
      await site.target.control.writeDisk(disk, 20 * mib, Buffer.alloc(2 * mib));

      const { report, events } = await attach(site, seed, seedJobOf(job), { repair: true });

      expect(report.disks).toMatchObject([
        { mode: 'full', differingBlocks: 3, repairedBlocks: 3 },
        { mode: 'full', differingBlocks: 1, repairedBlocks: 1 },
      ]);
      const frame = 12;
      expect(events.filter(({ kind }) => kind === 'seed-disk-repaired')).toMatchObject([
        { device: '0', blocks: 3, bytesSent: 3 * (2 * mib + frame) + frame },
        { device: '1', blocks: 1, bytesSent: 2 * mib + frame + frame },
      ]);
      const run = await site.run(job);
      expect(run.report.vms[0]?.outcome).toMatchObject({ copyKind: 'delta' });
      for (const { source, target } of await compareNewest(site, run.report)) expect(target).toBe(source);
    });

    test('sends nothing where nothing differs', async () => {
      await site.target.control.resetCounters();
      await attach(site, seed, unknownJob, { repair: true });
      expect((await site.target.control.counters()).bytesImported).toBe(0);
    });

    test('interrupted, it attaches nothing; begun again, it finds what is left to send', async () => {
      await flip('0', 0);
      await flip('0', 21 * mib);
      await site.target.control.addFault({
        match: { transfer: 'import' },
        effect: { kind: 'cut', afterBytes: 3 * mib },
      });
      await expect(attach(site, seed, unknownJob, { repair: true })).rejects.toThrow();
      const { report } = await attach(site, seed, unknownJob, { repair: true });
      expect(report.disks[0]?.repairedBlocks).toBeGreaterThanOrEqual(1);
      await expect(attach(site, seed, unknownJob)).rejects.toThrow('attached');
    });
  });
});
