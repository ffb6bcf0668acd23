/** All disks in one archive (XVA), as `xe vm-export` writes it and `xe vm-import` reads it. */
import { join } from 'node:path';
import type { Ref } from '../../xapi';
import { seedBlockBytes } from './blocks';
import { seedFileError } from './errors';
import type { ExportedSnapshot, ExportSeedOptions, WrittenFiles } from './export';
import { copying } from './export-disks';
import { dataBytesOf } from './export-size';
import { digestDisk } from './files/digester';
import { writeDigests } from './files/manifest';
import type { ManifestDisk } from './files/manifest';
import { PartialFile } from './files/partial-file';
import { assertRoom, freeBytesOf, gib } from './files/space';
import { taskLabel } from './tasks';
import { XvaArchive } from './xva/archive';

/** Headers, padding and sums of chunks come to less than this share of the data. */
const overheadShare = 1.01;

export async function exportArchive(
  options: ExportSeedOptions,
  snapshot: ExportedSnapshot,
  files: string,
): Promise<WrittenFiles> {
  const { folder, context, source, compression } = options;
  await lookForRoom(options, snapshot, files);
  const name = `seed.xva${compression === 'gzip' ? '.gz' : ''}`;
  const [first] = snapshot.disks;
  if (first === undefined) throw seedFileError('The snapshot has no disk', 'there is nothing to carry');
  const file = await PartialFile.create(join(folder, name));
  try {
    const transfer = copying(
      await source.openVmExport(
        {
          vm: snapshot.id.ref as Ref<'VM'>,
          sr: first.sr.ref as Ref<'SR'>,
          compression,
          label: taskLabel(files, `export of ${snapshot.vm.name}`),
        },
        { signal: context.signal },
      ),
      file,
      options,
    );
    try {
      const disks = await readArchive(options, snapshot, transfer.body);
      await transfer.finish();
      await file.commit();
      return { file: name, fileBytes: file.writtenBytes, disks };
    } catch (error) {
      await transfer.abort();
      throw await explained(error, () => transfer.finish({ timeoutMs: 15_000 }));
    }
  } catch (error) {
    await file.discard();
    noteRestart(options);
    throw error;
  }
}

/** How far data can be compressed shows only at the end: there a lack of room is told, but refuses nothing. */
async function lookForRoom(
  options: ExportSeedOptions,
  { disks }: ExportedSnapshot,
  files: string,
): Promise<void> {
  const { folder, context, compression } = options;
  const needBytes = Math.ceil((await dataBytesOf(options, disks, files)) * overheadShare);
  if (compression === 'none') {
    await assertRoom(folder, needBytes, 'an archive');
    return;
  }
  const freeBytes = await freeBytesOf(folder);
  if (needBytes <= freeBytes) return;
  const text =
    `uncompressed the archive would take ${gib(needBytes)}, ${gib(freeBytes)} are free in ${folder}: ` +
    'whether it fits depends on how far it can be compressed';
  context.emit({ kind: 'seed-warning', text });
}

/** The server appends its error to a stream that it gives up: only the task knows why. */
async function explained(error: unknown, outcome: () => Promise<void>): Promise<unknown> {
  return outcome().then(
    () => error,
    (reason: unknown) => (isAborted(reason) ? error : reason),
  );
}

function isAborted(reason: unknown): boolean {
  return typeof reason === 'object' && reason !== null && 'kind' in reason && reason.kind === 'aborted';
}

function noteRestart({ context }: ExportSeedOptions): void {
  const text =
    'an archive is sent as a whole: the next try begins again from its start, with the same snapshot ' +
    '(format vhd goes on disk by disk)';
  context.emit({ kind: 'seed-note', text });
}

async function readArchive(
  options: ExportSeedOptions,
  snapshot: ExportedSnapshot,
  body: AsyncIterable<Uint8Array>,
): Promise<ManifestDisk[]> {
  const { folder, context } = options;
  const archive = await XvaArchive.open(body);
  const written = new Map<string, ManifestDisk>();
  for await (const { disk, extents } of archive.disks()) {
    const { digests, dataBytes } = await digestDisk(extents, disk.sizeBytes, (index) => {
      context.signal.throwIfAborted();
      context.emit({
        kind: 'seed-progress',
        phase: 'export',
        device: disk.device,
        bytesDone: Math.min((index + 1) * seedBlockBytes, disk.sizeBytes),
        bytesExpected: disk.sizeBytes,
      });
    });
    written.set(disk.device, {
      device: disk.device,
      name: disk.name,
      bootable: disk.bootable,
      vdi: disk.vdi,
      sizeBytes: disk.sizeBytes,
      file: null,
      fileBytes: null,
      ...(await writeDigests(folder, disk.device, digests)),
      dataBytes,
    });
    context.emit({ kind: 'seed-disk-done', device: disk.device, bytesDone: dataBytes, skipped: false });
  }
  return snapshot.disks.map((disk) => {
    const found = written.get(disk.device);
    if (found?.vdi !== disk.vdi.uuid || found.sizeBytes !== disk.sizeBytes) {
      throw seedFileError(
        `The archive does not hold disk ${disk.device}, "${disk.vdi.name}" (${disk.vdi.uuid}), of the snapshot`,
        'somebody changed the snapshot meanwhile; export it again',
      );
    }
    return found;
  });
}
