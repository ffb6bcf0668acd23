/** What files hold, however they came to be: an exported folder, an archive, or single VHDs. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { VmSettings } from '../../../planner/settings';
import type { DiskReader, Extent } from '../../data/extent';
import { seedFileError } from '../errors';
import { XvaArchive } from '../xva/archive';
import type { Ova } from '../xva/ova';
import { checked } from './checked';
import { assertLengths } from './lengths';
import { readDigests, readManifest, settingsOfManifest } from './manifest';
import type { SeedManifest } from './manifest';
import { openVhdFile, vhdFacts } from './vhd-file';

export interface FileDisk {
  readonly device: string;
  readonly name: string;
  readonly bootable: boolean;
  readonly sizeBytes: number;
  /** Upper bound of the bytes that are not zeros. */
  readonly dataBytes: number;
}

export interface SeedContents {
  /** Names the files: an import that is begun again goes on only with the same ones. */
  readonly files: string;
  readonly name: string;
  /** Null where the files say nothing about the VM. */
  readonly settings: VmSettings | null;
  readonly disks: readonly FileDisk[];
  /** Whether every block is compared with a digest that was made at the source. */
  readonly checked: boolean;
  /** Each disk once, in the order in which they can be read; each reader is to be finished or aborted before the next. */
  readers(): AsyncIterable<{ readonly device: string; readonly reader: DiskReader }>;
}

export type SeedFiles =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'archive'; readonly path: string }
  | {
      readonly kind: 'disks';
      readonly name: string;
      readonly disks: readonly { readonly device: string; readonly path: string }[];
    };

/** @throws ReplicationError `seed-file` where the files are not what they are said to be */
export function openContents(files: SeedFiles): Promise<SeedContents> {
  switch (files.kind) {
    case 'folder':
      return ofFolder(files.path);
    case 'archive':
      return ofArchive(files.path);
    case 'disks':
      return ofDisks(files.name, files.disks);
  }
}

async function ofFolder(folder: string): Promise<SeedContents> {
  const manifest = await readManifest(folder);
  if (manifest === null) {
    throw seedFileError(
      `${folder} holds no seed: there is no seed.json in it`,
      'name the folder that xenrepl seed export wrote, once it has ended; or an archive, or single disks',
    );
  }
  const disks = manifest.disks.map(({ device, name, bootable, sizeBytes, dataBytes }) => ({
    device,
    name,
    bootable,
    sizeBytes,
    dataBytes,
  }));
  await assertLengths(folder, [...manifest.disks, manifest], 'carry the whole folder over again');
  return {
    files: manifest.id,
    name: manifest.vm.name,
    settings: settingsOfManifest(manifest),
    disks,
    checked: true,
    readers: () => (manifest.file === null ? diskReaders(folder, manifest) : archived(folder, manifest)),
  };
}

async function* diskReaders(
  folder: string,
  manifest: SeedManifest,
): AsyncGenerator<{ readonly device: string; readonly reader: DiskReader }> {
  for (const disk of manifest.disks) {
    const path = join(folder, disk.file ?? '');
    const digests = await readDigests(folder, disk);
    assertSize(await vhdFacts(path), disk.sizeBytes, path);
    yield { device: disk.device, reader: checked(await openVhdFile(path), digests, path) };
  }
}

async function* archived(
  folder: string,
  manifest: SeedManifest,
): AsyncGenerator<{ readonly device: string; readonly reader: DiskReader }> {
  const path = join(folder, manifest.file ?? '');
  for await (const { device, reader } of archiveReaders(path)) {
    const disk = manifest.disks.find((known) => known.device === device);
    if (disk === undefined)
      throw seedFileError(`${path} holds a disk ${device} too much`, 'carry it over again');
    assertSize(reader, disk.sizeBytes, path);
    yield { device, reader: checked(reader, await readDigests(folder, disk), path) };
  }
}

function assertSize(reader: Pick<DiskReader, 'sizeBytes'>, sizeBytes: number, path: string): void {
  if (reader.sizeBytes === sizeBytes) return;
  throw seedFileError(
    `${path} is a disk of ${String(reader.sizeBytes)} bytes, the seed was written with ${String(sizeBytes)}`,
    'carry the whole folder over again',
  );
}

async function ofArchive(path: string): Promise<SeedContents> {
  const ova = await descriptionIn(path);
  if (ova.disks.length === 0) throw seedFileError(`${path} holds no disk`, 'export the VM with its disks');
  return {
    files: await fingerprint([path]),
    name: ova.settings.name_label,
    settings: ova.settings,
    // How much of them is in the archive shows only as it is read.
    disks: ova.disks.map((disk) => ({ ...disk, dataBytes: disk.sizeBytes })),
    checked: false,
    readers: () => archiveReaders(path),
  };
}

async function descriptionIn(path: string): Promise<Ova> {
  const input = createReadStream(path);
  try {
    return (await XvaArchive.open(input)).ova;
  } finally {
    input.destroy();
  }
}

async function* archiveReaders(
  path: string,
): AsyncGenerator<{ readonly device: string; readonly reader: DiskReader }> {
  const input = createReadStream(path, { highWaterMark: 1024 * 1024 });
  try {
    const archive = await XvaArchive.open(input);
    for await (const { disk, extents } of archive.disks()) {
      yield { device: disk.device, reader: new ArchivedDiskReader(path, disk.sizeBytes, extents) };
    }
  } finally {
    input.destroy();
  }
}

/** One disk of an archive. What is not read of it is passed over by the archive, which closes the file at the end. */
class ArchivedDiskReader implements DiskReader {
  readonly sizeBytes: number;
  readonly #path: string;
  readonly #extents: AsyncIterable<Extent>;
  #ended = false;
  /** Position on the disk: how much of the file that is depends on its compression. */
  bytesRead = 0;

  constructor(path: string, sizeBytes: number, extents: AsyncIterable<Extent>) {
    this.#path = path;
    this.sizeBytes = sizeBytes;
    this.#extents = extents;
  }

  get changedBytes(): number {
    return this.sizeBytes;
  }

  async *extents(): AsyncGenerator<Extent> {
    for await (const extent of this.#extents) {
      this.bytesRead = extent.offsetBytes + extent.data.length;
      yield extent;
    }
    this.#ended = true;
  }

  finish(): Promise<void> {
    if (this.#ended) return Promise.resolve();
    return Promise.reject(seedFileError(`${this.#path} was not read to its end`, 'try again'));
  }

  abort(): Promise<void> {
    return Promise.resolve();
  }
}

async function ofDisks(
  name: string,
  files: readonly { readonly device: string; readonly path: string }[],
): Promise<SeedContents> {
  const disks: FileDisk[] = [];
  for (const { device, path } of files) {
    const { sizeBytes, dataBytes } = await vhdFacts(path);
    disks.push({ device, name: basename(path), bootable: device === '0', sizeBytes, dataBytes });
  }
  return {
    files: await fingerprint(files.map(({ path }) => path)),
    name,
    settings: null,
    disks,
    checked: false,
    async *readers() {
      for (const { device, path } of files) yield { device, reader: await openVhdFile(path) };
    },
  };
}

/** Files without a description are told apart by name, length and time; the content is proved as an import goes on. */
async function fingerprint(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const path of paths) {
    const { size, mtimeMs } = await stat(path);
    hash.update(`${basename(path)}\n${String(size)}\n${String(mtimeMs)}\n`);
  }
  return hash.digest('hex').slice(0, 32);
}
