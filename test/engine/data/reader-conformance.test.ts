/** What every DiskReader promises, run over each of them with the same disks of the same simulated pool. */
import { listChanges, nbdLimits, openNbdReader } from '../../../lib/engine/data/read-nbd';
import { openExportReader } from '../../../lib/engine/data/read-export';
import type { DiskReader, Extent } from '../../../lib/engine/data/extent';
import type { PoolControl, SimulatorSpec } from '../../../lib/simulator';
import type { Pool, ReceivedBy, Ref } from '../../../lib/xapi';
import { Site } from '../site';
import { collect, written } from './extents';

const mib = 1024 ** 2;
const grain = 65_536;
/** So many looks at a source that show no progress: it stands still. */
const quietRoundTrips = 200;

/** Sizes in MiB; the SR rounds up to whole blocks of 2 MiB, so that nothing else can be had of a real one either. */
const disks = { data: 24, empty: 4, odd: 6, large: 128 } as const;

const spec: SimulatorSpec = {
  seed: 3,
  pools: [
    {
      name: 'source',
      hosts: [{ name: 'source-1' }],
      srs: [{ name: 'source-sr', type: 'ext', sizeBytes: 4096 * mib }],
      networks: [{ name: 'storage', purpose: 'nbd' }],
      vms: [
        {
          name: 'db1',
          disks: Object.entries(disks).map(([name, sizeMib], device) => ({
            device,
            name,
            sizeBytes: sizeMib * mib - (name === 'odd' ? mib + 512 : 0),
            sr: 'source-sr',
          })),
        },
      ],
    },
    { name: 'target', hosts: [{ name: 't' }], srs: [], networks: [{ name: 'lan' }], vms: [] },
  ],
};

interface Wanted {
  readonly vdi: Ref<'VDI'>;
  readonly base?: Ref<'VDI'>;
  readonly sizeBytes: number;
}
type Open = (pool: Pool, wanted: Wanted, signal?: AbortSignal) => Promise<DiskReader>;

function byExport(receivedBy: ReceivedBy): Open {
  return async (pool, { vdi, sizeBytes, ...base }, signal = new AbortController().signal) => {
    const { SR: sr } = await pool.call('VDI.get_record', [vdi]);
    const request = { vdi, sr, label: 'conformance', name: 'disk', sizeBytes, receivedBy, ...base };
    return openExportReader(pool, request, signal);
  };
}

const readers: readonly (readonly [name: string, transfer: 'export' | 'nbd', open: Open])[] = [
  ['export', 'export', byExport('this-thread')],
  ['export, received by a thread of its own', 'export', byExport('own-thread')],
  [
    'nbd',
    'nbd',
    async (pool, { base, ...wanted }, signal = new AbortController().signal) => {
      const request = { ...wanted, startBytes: 0, name: 'disk' };
      const changes =
        base === undefined ? {} : { changes: await listChanges(pool, { ...request, base }, signal) };
      const limits = { ...nbdLimits, failuresMax: 2, retryDelayMs: 1 };
      return openNbdReader(pool, { ...request, ...changes }, signal, limits);
    },
  ],
];

interface Fixture {
  readonly pool: Pool;
  readonly control: PoolControl;
}

async function liveUuid({ control }: Fixture, name: keyof typeof disks): Promise<string> {
  return control.diskOf(await control.vmUuid('db1'), Object.keys(disks).indexOf(name));
}

async function write(
  fixture: Fixture,
  name: keyof typeof disks,
  atBytes: number,
  data: Buffer,
): Promise<void> {
  await fixture.control.writeDisk(await liveUuid(fixture, name), atBytes, data);
}

/** The snapshot's disk at the position of the named one. */
async function snapshotOf(
  fixture: Fixture,
  name: keyof typeof disks,
): Promise<Wanted & { readonly uuid: string }> {
  const { pool, control } = fixture;
  const vm = await pool.call('VM.get_by_uuid', [await control.vmUuid('db1')]);
  const snapshot = await pool.callTask('VM.snapshot', [vm, 'snapshot']);
  const { uuid: snapshotUuid } = await pool.call('VM.get_record', [snapshot]);
  const uuid = await control.diskOf(snapshotUuid, Object.keys(disks).indexOf(name));
  const vdi = await pool.call('VDI.get_by_uuid', [uuid]);
  const { virtual_size: sizeBytes } = await pool.call('VDI.get_record', [vdi]);
  return { uuid, vdi, sizeBytes };
}

async function contentOf({ control }: Fixture, uuid: string, sizeBytes: number): Promise<Buffer> {
  return Buffer.from(await control.readDisk(uuid, 0, sizeBytes));
}

async function readAll(reader: DiskReader): Promise<readonly Extent[]> {
  const extents = await collect(reader.extents());
  await reader.finish();
  return extents;
}

/** Disks attached to a control domain: transfers that are still alive on the host. */
async function attachments(pool: Pool): Promise<number> {
  const vms = await pool.call('VM.get_all_records', []);
  const vbds = Object.values(await pool.call('VBD.get_all_records', []));
  return vbds.filter(({ VM }) => vms[VM]?.is_control_domain === true).length;
}

async function untilDetached(pool: Pool): Promise<void> {
  while ((await attachments(pool)) > 0) await new Promise(setImmediate);
}

describe.each(readers)('%s', (_name, kind, open) => {
  let site: Site;
  let fixture: Fixture;

  beforeAll(async () => {
    site = await Site.start(spec);
    const pool = await site.connect('source');
    fixture = { pool, control: site.source.control };
    for (const name of Object.keys(disks) as (keyof typeof disks)[]) {
      await pool.call('VDI.enable_cbt', [
        await pool.call('VDI.get_by_uuid', [await liveUuid(fixture, name)]),
      ]);
    }
    await write(fixture, 'data', 0, Buffer.alloc(grain + 512, 0x11));
    await write(fixture, 'data', 9 * mib, Buffer.alloc(3 * mib, 0x22));
    await write(fixture, 'odd', 0, Buffer.alloc(4096, 0x33));
  });
  afterEach(() => fixture.control.clearFaults());
  afterAll(() => site[Symbol.asyncDispose]());

  test('a full gives the whole content; what it leaves out reads as zeros', async () => {
    const disk = await snapshotOf(fixture, 'data');
    const extents = await readAll(await open(fixture.pool, disk));
    const content = await contentOf(fixture, disk.uuid, disk.sizeBytes);
    expect(written(extents, disk.sizeBytes, 0).equals(content)).toBe(true);
  });

  test('extents ascend, do not overlap, end on sectors and within the disk; never more than was announced', async () => {
    const disk = await snapshotOf(fixture, 'data');
    const reader = await open(fixture.pool, disk);
    const announced = reader.changedBytes;
    let reachedBytes = 0;
    let yieldedBytes = 0;
    for (const { offsetBytes, data } of await readAll(reader)) {
      expect(offsetBytes).toBeGreaterThanOrEqual(reachedBytes);
      expect([offsetBytes % 512, data.length % 512]).toEqual([0, 0]);
      reachedBytes = offsetBytes + data.length;
      yieldedBytes += data.length;
    }
    expect(reachedBytes).toBeLessThanOrEqual(disk.sizeBytes);
    expect(yieldedBytes).toBeLessThanOrEqual(announced);
    expect(reader.bytesRead).toBeGreaterThanOrEqual(yieldedBytes);
  });

  test('a delta, written over the base, gives the newer content; zeros over data are data', async () => {
    const base = await snapshotOf(fixture, 'data');
    await write(fixture, 'data', 9 * mib, Buffer.alloc(grain));
    await write(fixture, 'data', 20 * mib + 4096, Buffer.alloc(512, 0x44));
    const disk = await snapshotOf(fixture, 'data');
    const extents = await readAll(await open(fixture.pool, { ...disk, base: base.vdi }));

    const before = await contentOf(fixture, base.uuid, base.sizeBytes);
    for (const { offsetBytes, data } of extents) before.set(data, offsetBytes);
    expect(before.equals(await contentOf(fixture, disk.uuid, disk.sizeBytes))).toBe(true);
    const zeroed = 9 * mib;
    // However the bytes arrived: an export is cut where the socket cuts it.
    const carried = extents.map(
      ({ offsetBytes, data }) =>
        Math.min(offsetBytes + data.length, zeroed + grain) - Math.max(offsetBytes, zeroed),
    );
    expect(carried.filter((bytes) => bytes > 0).reduce((sum, bytes) => sum + bytes, 0)).toBe(grain);
  });

  test('a delta over two snapshots carries what was written before and after the one in between', async () => {
    const base = await snapshotOf(fixture, 'data');
    await write(fixture, 'data', 2 * mib, Buffer.alloc(512, 0x55));
    await snapshotOf(fixture, 'data');
    await write(fixture, 'data', 16 * mib, Buffer.alloc(512, 0x66));
    const disk = await snapshotOf(fixture, 'data');
    const before = await contentOf(fixture, base.uuid, base.sizeBytes);
    for (const { offsetBytes, data } of await readAll(
      await open(fixture.pool, { ...disk, base: base.vdi }),
    )) {
      before.set(data, offsetBytes);
    }
    expect(before.equals(await contentOf(fixture, disk.uuid, disk.sizeBytes))).toBe(true);
  });

  test('an unchanged disk: nothing announced, nothing given, a good end', async () => {
    const base = await snapshotOf(fixture, 'data');
    const disk = await snapshotOf(fixture, 'data');
    const reader = await open(fixture.pool, { ...disk, base: base.vdi });
    expect(reader.changedBytes).toBe(0);
    expect(await readAll(reader)).toEqual([]);
  });

  test('an empty disk: zeros or nothing', async () => {
    const disk = await snapshotOf(fixture, 'empty');
    const extents = await readAll(await open(fixture.pool, disk));
    expect(written(extents, disk.sizeBytes, 0).every((byte) => byte === 0)).toBe(true);
  });

  test('a disk whose size is no whole number of blocks, changed in its last sectors', async () => {
    const base = await snapshotOf(fixture, 'odd');
    await write(fixture, 'odd', base.sizeBytes - 1024, Buffer.alloc(1024, 0x77));
    const disk = await snapshotOf(fixture, 'odd');
    const [last] = (await readAll(await open(fixture.pool, { ...disk, base: base.vdi }))).slice(-1);
    expect((last?.offsetBytes ?? 0) + (last?.data.length ?? 0)).toBe(disk.sizeBytes);
    expect(last?.data.subarray(-1024).every((byte) => byte === 0x77)).toBe(true);
  });

  test('a disk that has grown since the base: the newer size, the new part only where it was written to', async () => {
    const base = await snapshotOf(fixture, 'empty');
    const live = await fixture.pool.call('VDI.get_by_uuid', [await liveUuid(fixture, 'empty')]);
    await fixture.pool.callTask('VDI.resize', [live, base.sizeBytes + 4 * mib]);
    await write(fixture, 'empty', base.sizeBytes + 3 * mib, Buffer.alloc(512, 0x88));
    const disk = await snapshotOf(fixture, 'empty');
    const extents = await readAll(await open(fixture.pool, { ...disk, base: base.vdi }));

    expect(disk.sizeBytes).toBe(base.sizeBytes + 4 * mib);
    expect(
      written(extents, disk.sizeBytes, 0).equals(await contentOf(fixture, disk.uuid, disk.sizeBytes)),
    ).toBe(true);
    expect(extents.every(({ offsetBytes }) => offsetBytes >= base.sizeBytes + 2 * mib)).toBe(true);
  });

  test('a disk of another size than the pool says is refused', async () => {
    const disk = await snapshotOf(fixture, 'data');
    const wrong = { ...disk, sizeBytes: disk.sizeBytes + 2 * mib };
    await expect(open(fixture.pool, wrong)).rejects.toMatchObject({ code: 'bad-stream' });
    await untilDetached(fixture.pool);
  });

  test('a connection that is cut again and again: a failure, never a short success', async () => {
    const disk = await snapshotOf(fixture, 'data');
    await fixture.control.addFault({
      match: { transfer: kind },
      max: 99,
      effect: { kind: 'cut', afterBytes: 1000 },
    });
    const reading = open(fixture.pool, disk).then(readAll);
    await expect(reading).rejects.toThrow();
    await untilDetached(fixture.pool);
  });

  test('a source that says nothing any more is left at once when the caller aborts', async () => {
    const disk = await snapshotOf(fixture, 'data');
    await fixture.control.addFault({
      match: { transfer: kind },
      max: 9,
      effect: { kind: 'stall', afterBytes: 2 * mib },
    });
    const stop = new AbortController();
    const reader = await open(fixture.pool, disk, stop.signal);
    const reading = (async () => {
      for await (const extent of reader.extents()) if (extent.offsetBytes >= 0) stop.abort();
      await reader.finish();
    })();
    await expect(reading).rejects.toThrow();
    await reader.abort();
    await fixture.control.clearFaults();
  });

  test('an abort before the first byte opens nothing', async () => {
    const disk = await snapshotOf(fixture, 'data');
    await expect(open(fixture.pool, disk, AbortSignal.abort())).rejects.toThrow();
    expect(await attachments(fixture.pool)).toBe(0);
  });

  test('stopping in the middle closes the transfer; its end is then no good end', async () => {
    const disk = await snapshotOf(fixture, 'data');
    const reader = await open(fixture.pool, disk);
    for await (const extent of reader.extents()) if (extent.data.length > 0) break;
    await expect(reader.finish()).rejects.toMatchObject({ code: 'bad-stream' });
    await untilDetached(fixture.pool);
  });

  test('aborting twice is as good as once', async () => {
    const reader = await open(fixture.pool, await snapshotOf(fixture, 'data'));
    await reader.abort();
    await reader.abort();
    await untilDetached(fixture.pool);
  });

  test('a consumer that takes nothing stops the source', async () => {
    await fixture.control.fillDisk(await liveUuid(fixture, 'large'), 0, disks.large * mib);
    const disk = await snapshotOf(fixture, 'large');
    await fixture.control.resetCounters();
    const reader = await open(fixture.pool, disk);
    const extents = reader.extents()[Symbol.asyncIterator]();
    const first = await extents.next();
    expect(first.done).toBe(false);
    const exportedBytes = async (): Promise<number> => (await fixture.control.counters()).bytesExported;
    let sentBytes = 0;
    for (let unchanged = 0; unchanged < quietRoundTrips; unchanged += 1) {
      // A round trip, in which a source without back-pressure would go on sending.
      const now = await exportedBytes();
      if (now !== sentBytes) unchanged = 0;
      sentBytes = now;
    }
    // What a reader and the kernel hold on both sides, and far from all of it.
    expect(sentBytes).toBeGreaterThan(0);
    expect(sentBytes).toBeLessThan((disks.large / 2) * mib);
    // It was the consumer that held it up: once everything is taken, everything is sent.
    for (let next = await extents.next(); next.done !== true;) next = await extents.next();
    await reader.finish();
    expect(await exportedBytes()).toBeGreaterThanOrEqual(disks.large * mib);
    await untilDetached(fixture.pool);
  });

  test('nothing is left attached after a good end', async () => {
    await readAll(await open(fixture.pool, await snapshotOf(fixture, 'data')));
    await untilDetached(fixture.pool);
  });
});
