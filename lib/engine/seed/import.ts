/**
 * Brings the files of a seed into an SR: makes a VM that cannot be started, and fills its disks segment by segment, each
 * confirmed by a task of its own. Begun again with the same files, it goes on behind the last confirmed segment.
 */
import { setMaxListeners } from 'node:events';
import { dirname } from 'node:path';
import type { Pool, Ref } from '../../xapi';
import { ReplicationError } from '../errors';
import { copyDisk } from '../data/copy-disk';
import { Pace } from '../data/pace';
import type { DiskReader } from '../data/extent';
import { SegmentWriter, segmentLimits } from '../data/write-segments';
import type { SegmentLimits } from '../data/write-segments';
import { storageFacts } from '../observe/storage';
import type { StorageFacts } from '../observe/storage';
import { byUuid, readWorld } from '../observe/world';
import { assertQuiet } from '../steps/quiet';
import type { SeedContext } from './context';
import { seedFileError } from './errors';
import { openContents } from './files/contents';
import type { FileDisk, SeedContents, SeedFiles } from './files/contents';
import { underReadersLock } from './files/lock-file';
import { gib } from './files/space';
import { findDisk, makeDisk } from './import-disk';
import type { CarriedDisk } from './import-disk';
import { findVm, finishVm, makeVm } from './import-vm';
import type { CarriedVm } from './import-vm';
import { discardEndedTasks, taskLabel } from './tasks';

export interface ImportSeedOptions {
  readonly target: Pool;
  /** By uuid, in any case. */
  readonly srUuid: string;
  readonly files: SeedFiles;
  /** How much of the files' content is moved in a second; absent: as much as the pool takes. */
  readonly bytesPerSecond?: number;
  readonly context: SeedContext;
  readonly limits?: SegmentLimits;
}

export interface ImportReport {
  readonly vm: { readonly uuid: string; readonly name: string };
  readonly srUuid: string;
  /** True where these files were imported before, whole: nothing was done. */
  readonly wasComplete: boolean;
  /** Whether every block was compared with a digest that was made at the source. */
  readonly checked: boolean;
  readonly disks: readonly {
    readonly device: string;
    readonly vdiUuid: string;
    readonly sizeBytes: number;
    /** Size in the file: the SR may have rounded it up. */
    readonly fileSizeBytes: number;
    readonly bytesSent: number;
  }[];
}

interface Sr {
  readonly ref: Ref<'SR'>;
  readonly uuid: string;
  readonly name: string;
  readonly facts: StorageFacts;
  readonly freeBytes: number;
}

/** @throws ReplicationError `seed-file`, `sr-missing`, `seed-refused`, `locked`: what is wrong with the files or with the SR. */
export async function importSeed(options: ImportSeedOptions): Promise<ImportReport> {
  const { context } = options;
  setMaxListeners(0, context.signal);
  const sr = await srOf(options);
  const contents = await contentsFor(options, sr);
  const folder = folderOf(options.files);
  const action = `import ${folder} to SR "${sr.name}" (${sr.uuid})`;
  const purpose = `import ${contents.files}`;
  return underReadersLock(folder, purpose, action, context, () => bringIn(options, sr, contents));
}

/** Where the files lie; of single disks the first one's. */
function folderOf(files: SeedFiles): string {
  switch (files.kind) {
    case 'folder':
      return files.path;
    case 'archive':
      return dirname(files.path);
    case 'disks':
      return dirname(files.disks[0]?.path ?? '.');
  }
}

async function bringIn(options: ImportSeedOptions, sr: Sr, contents: SeedContents): Promise<ImportReport> {
  const { target, context } = options;
  await discardEndedTasks(target, contents.files, { signal: context.signal });
  const found = await findVm(target, contents, { signal: context.signal });
  if (found?.complete === true) return alreadyThere(options, contents, sr, found);
  assertRoom(sr, contents);
  const vm = found ?? (await makeVm(target, contents));
  context.emit({ kind: 'seed-started', action: 'import', vm: { uuid: vm.uuid, name: contents.name } });
  const pace = new Pace(() => options.bytesPerSecond ?? null, context.clock);
  const work: Work = { ...options, contents, sr, vm, pace };
  const disks: ImportReport['disks'][number][] = [];
  for await (const { device, reader } of contents.readers()) {
    const disk = contents.disks.find((known) => known.device === device);
    if (disk === undefined) throw new RangeError(`the files hold a disk ${device} that they do not name`);
    disks.push(await fill(work, disk, reader));
  }
  if (disks.length < contents.disks.length) {
    throw seedFileError(`The files of "${contents.name}" hold too few disks`, 'export the VM with its disks');
  }
  await finishVm(target, vm, contents);
  return {
    vm: { uuid: vm.uuid, name: contents.name },
    srUuid: sr.uuid,
    wasComplete: false,
    checked: contents.checked,
    disks,
  };
}

/** The same files on another SR are another import. */
async function contentsFor({ files }: ImportSeedOptions, sr: Sr): Promise<SeedContents> {
  const contents = await openContents(files);
  return { ...contents, files: `${contents.files} ${sr.uuid}` };
}

interface Work extends ImportSeedOptions {
  /** Of all disks together. */
  readonly pace: Pace;
  readonly contents: SeedContents;
  readonly sr: Sr;
  readonly vm: CarriedVm;
}

/** One disk: what an interrupted import confirmed is not sent again, once the file proves to begin with the same. */
async function fill(work: Work, disk: FileDisk, reader: DiskReader): Promise<ImportReport['disks'][number]> {
  const { target, context, sr, vm, contents } = work;
  try {
    const carried =
      (await findDisk(target, contents.files, vm, disk.device, context)) ??
      (await makeDisk(target, sr.ref, vm, contents.files, disk));
    noteRounding(context, disk, carried);
    // An archive passes over what is not read of it.
    if (carried.wasComplete) await reader.abort();
    const bytesSent = carried.wasComplete ? 0 : await send(work, disk, reader, carried);
    if (!carried.wasComplete) await carried.finish();
    context.emit({
      kind: 'seed-disk-done',
      device: disk.device,
      bytesDone: bytesSent,
      skipped: carried.wasComplete,
    });
    return {
      device: disk.device,
      vdiUuid: carried.id.uuid,
      sizeBytes: carried.sizeBytes,
      fileSizeBytes: disk.sizeBytes,
      bytesSent,
    };
  } catch (error) {
    await reader.abort();
    throw error;
  }
}

async function send(work: Work, disk: FileDisk, reader: DiskReader, carried: CarriedDisk): Promise<number> {
  const { target, context, sr, contents } = work;
  const writer = new SegmentWriter(
    target,
    {
      vdi: carried.id.ref as Ref<'VDI'>,
      sr: sr.ref,
      label: taskLabel(contents.files, `import of ${contents.name} disk ${disk.device}`),
    },
    {
      clock: context.clock,
      signal: context.signal,
      limits: work.limits ?? segmentLimits,
      assertQuiet: () =>
        assertQuiet(target, carried.id, context.clock, context.signal, { signal: context.signal }),
      onSegment: () => undefined,
      checkpoints: carried,
    },
  );
  const copied = copyDisk(reader, writer, {
    zeros: sr.facts.zeroedDisks ? 'leave-out' : 'send-and-fill-gaps',
    resume: carried.resume === null ? null : { ...carried.resume, readsAgain: true },
    signal: context.signal,
    pace: (bytes) => work.pace.take(bytes, context.signal),
    onProgress: () =>
      context.emit({
        kind: 'seed-progress',
        phase: 'import',
        device: disk.device,
        bytesDone: reader.bytesRead,
        bytesExpected: Math.max(reader.changedBytes, reader.bytesRead),
      }),
  });
  try {
    return (await copied).bytesSent;
  } catch (error) {
    if (!(error instanceof ReplicationError) || error.code !== 'resume-mismatch') throw error;
    // Nobody must try to go on from there again.
    await carried.forget();
    const text = `The file of disk ${disk.device} is not the one that the interrupted import of "${contents.name}" began with`;
    throw seedFileError(text, 'run the import again: it begins this disk anew', error);
  }
}

function noteRounding(context: SeedContext, disk: FileDisk, carried: CarriedDisk): void {
  if (carried.sizeBytes === disk.sizeBytes) return;
  const text =
    `disk ${disk.device} has ${String(disk.sizeBytes)} bytes in its file; the SR rounded it up to ` +
    `${String(carried.sizeBytes)}: it can only be attached to a disk of that size`;
  context.emit({ kind: 'seed-note', text });
}

async function srOf({ target, srUuid, context }: ImportSeedOptions): Promise<Sr> {
  const world = await readWorld(target, { signal: context.signal });
  const found = byUuid(world.srs, srUuid);
  if (found === null) {
    throw new ReplicationError('sr-missing', `Cannot import: pool "${target.name}" has no SR ${srUuid}`, {
      retry: 'never',
      hint: 'xe sr-list shows the uuids',
    });
  }
  const { ref, record } = found;
  const facts = storageFacts(record);
  if (facts.rawDisks) {
    throw new ReplicationError(
      'seed-refused',
      `Cannot import to SR "${record.name_label}" (${record.uuid}): it keeps raw disks, which cannot be cloned`,
      { retry: 'never', hint: 'name an SR that keeps VHD' },
    );
  }
  return {
    ref: ref as Ref<'SR'>,
    uuid: record.uuid,
    name: record.name_label,
    facts,
    freeBytes: Math.max(0, record.physical_size - record.physical_utilisation),
  };
}

/** Thin SRs take what is not zero; thick ones the whole size. What an interrupted import took is not counted again. */
function assertRoom(sr: Sr, { disks, checked }: SeedContents): void {
  const thin = sr.facts.allocation === 'thin';
  // How much of an archive without a description is zeros shows only as it is read.
  const needBytes = disks.reduce(
    (sum, { sizeBytes, dataBytes }) => sum + (thin ? (checked ? dataBytes : 0) : sizeBytes),
    0,
  );
  if (needBytes <= sr.freeBytes) return;
  throw new ReplicationError(
    'seed-refused',
    `Cannot import to SR "${sr.name}" (${sr.uuid}): it needs ${gib(needBytes)}, ${gib(sr.freeBytes)} are free`,
    { retry: 'later', hint: 'free space on that SR, or name another one' },
  );
}

async function alreadyThere(
  { target, context }: ImportSeedOptions,
  contents: SeedContents,
  sr: Sr,
  vm: CarriedVm,
): Promise<ImportReport> {
  const disks: ImportReport['disks'][number][] = [];
  for (const { device, sizeBytes: fileSizeBytes } of contents.disks) {
    const disk = await findDisk(target, contents.files, vm, device, context);
    if (disk === null) continue;
    const { id, sizeBytes } = disk;
    disks.push({ device, vdiUuid: id.uuid, sizeBytes, fileSizeBytes, bytesSent: 0 });
  }
  return {
    vm: { uuid: vm.uuid, name: contents.name },
    srUuid: sr.uuid,
    wasComplete: true,
    checked: contents.checked,
    disks,
  };
}
