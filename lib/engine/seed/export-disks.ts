/** One VHD per disk: the stream of the export itself, which XenServer, qemu-img and this program read. */
import { join } from 'node:path';
import type { DiskExport, Ref } from '../../xapi';
import type { ObservedDisk } from '../../planner/observation';
import { Pace } from '../data/pace';
import { openExportReader } from '../data/read-export';
import { seedBlockBytes } from './blocks';
import type { ExportedSnapshot, ExportSeedOptions, WrittenFiles } from './export';
import { dataBytesOf } from './export-size';
import { digestDisk } from './files/digester';
import { wrongLength } from './files/lengths';
import { writeDigests, writeUnfinished } from './files/manifest';
import type { ManifestDisk, UnfinishedSeed } from './files/manifest';
import { taskLabel } from './tasks';
import { PartialFile } from './files/partial-file';
import { assertRoom } from './files/space';

/** Headers, tables and bitmaps, generously. */
const overheadBytes = 16 * 1024 * 1024;

export async function exportDisks(
  options: ExportSeedOptions,
  snapshot: ExportedSnapshot,
  state: UnfinishedSeed,
): Promise<WrittenFiles> {
  const { folder, context } = options;
  let known = await stillThere(options, state);
  const missing = snapshot.disks.filter((disk) => finished(known, disk) === undefined);
  // The head of its own export tells as much of a single one.
  if (missing.length > 1) {
    const needBytes = (await dataBytesOf(options, missing, state.id)) + missing.length * overheadBytes;
    await assertRoom(folder, needBytes, `${String(missing.length)} disks`);
  }
  const disks: ManifestDisk[] = [];
  for (const disk of snapshot.disks) {
    const before = finished(known, disk);
    if (before !== undefined) {
      const bytesDone = before.fileBytes ?? 0;
      context.emit({ kind: 'seed-disk-done', device: disk.device, bytesDone, skipped: true });
      disks.push(before);
      continue;
    }
    const written = await exportDisk(options, disk, state.id);
    disks.push(written);
    // From here on this disk is not sent again.
    known = { ...known, disks: [...known.disks, written] };
    await writeUnfinished(folder, known);
    context.emit({
      kind: 'seed-disk-done',
      device: disk.device,
      bytesDone: written.fileBytes ?? 0,
      skipped: false,
    });
  }
  return { file: null, fileBytes: null, disks };
}

/** A disk counts as finished for as long as its file is there as it was written. */
async function stillThere(
  { folder, context }: ExportSeedOptions,
  state: UnfinishedSeed,
): Promise<UnfinishedSeed> {
  const disks: ManifestDisk[] = [];
  for (const disk of state.disks) {
    const wrong = await wrongLength(folder, disk);
    if (wrong === null) disks.push(disk);
    else context.emit({ kind: 'seed-note', text: `${wrong}: disk ${disk.device} is exported again` });
  }
  return { ...state, disks };
}

function finished({ disks }: UnfinishedSeed, disk: ObservedDisk): ManifestDisk | undefined {
  return disks.find(({ device, vdi }) => device === disk.device && vdi === disk.vdi.uuid);
}

async function exportDisk(
  options: ExportSeedOptions,
  disk: ObservedDisk,
  files: string,
): Promise<ManifestDisk> {
  const { folder, context, source } = options;
  const name = `disk-${disk.device}.vhd`;
  const file = await PartialFile.create(join(folder, name));
  try {
    const reader = await openExportReader(
      {
        openExport: async (request, callOptions) =>
          copying(await source.openExport(request, callOptions), file, options),
      },
      {
        vdi: disk.vdi.ref as Ref<'VDI'>,
        sr: disk.sr.ref as Ref<'SR'>,
        label: taskLabel(files, `export of ${disk.vdi.name}`),
        sizeBytes: disk.sizeBytes,
        name: disk.vdi.name,
      },
      context.signal,
    );
    try {
      await assertRoom(folder, reader.changedBytes + overheadBytes, `disk ${disk.device}`);
      const { digests, dataBytes } = await digestDisk(reader.extents(), disk.sizeBytes, (index) => {
        context.signal.throwIfAborted();
        context.emit({
          kind: 'seed-progress',
          phase: 'export',
          device: disk.device,
          bytesDone: Math.min((index + 1) * seedBlockBytes, disk.sizeBytes),
          bytesExpected: disk.sizeBytes,
        });
      });
      // The task's word, not the end of the stream, says that it was all.
      await reader.finish();
      await file.commit();
      return {
        device: disk.device,
        name: disk.vdi.name,
        bootable: disk.bootable,
        vdi: disk.vdi.uuid,
        sizeBytes: disk.sizeBytes,
        file: name,
        fileBytes: file.writtenBytes,
        ...(await writeDigests(folder, disk.device, digests)),
        dataBytes,
      };
    } catch (error) {
      await reader.abort();
      throw error;
    }
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/** The same transfer, each piece written to the file, and its time waited for, before it is read on. */
export function copying(
  transfer: DiskExport,
  file: Pick<PartialFile, 'write'>,
  { bytesPerSecond = null, context }: Pick<ExportSeedOptions, 'context'> & { bytesPerSecond?: number | null },
): DiskExport {
  const pace = new Pace(() => bytesPerSecond, context.clock);
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for await (const piece of transfer.body) {
      await pace.take(piece.length, context.signal);
      await file.write(piece);
      yield piece;
    }
  }
  return {
    body: { [Symbol.asyncIterator]: pieces },
    finish: (options) => transfer.finish(options),
    abort: () => transfer.abort(),
  };
}
