/**
 * The description that travels with a seed: what it was made of, and a digest of each block of each disk, so that the
 * other end can prove what it reads without asking the source.
 *
 * `seed.json` says that everything is there; while an export is under way there is `seed.unfinished.json` instead. The
 * digests of a disk stand in a file of their own: a disk of 2 TiB has a million of them.
 */
import { createHash } from 'node:crypto';
import { readFile, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import type { VmSettings } from '../../../planner/settings';
import type { BlockDigests } from '../compare';
import { blockCount, seedBlockBytes } from '../blocks';
import { seedFileError } from '../errors';
import { writeWhole } from './partial-file';

const manifestName = 'seed.json';
const unfinishedName = 'seed.unfinished.json';
/** Far more than settings and sixteen disks take. */
const manifestBytesMax = 4 * 1024 * 1024;
/** A disk of 2 TiB has 2^20 blocks of 67 bytes of text each. */
const digestsBytesMax = 128 * 1024 * 1024;

const texts = z.record(z.string(), z.string());
/** Files stand in the folder itself: a name never leads out of it. */
const fileName = z
  .string()
  .regex(/^[\w. ()+-]+$/)
  .refine((name) => basename(name) === name && !name.startsWith('.'));

const settings = z.looseObject({
  name_label: z.string(),
  name_description: z.string(),
  memory_static_min: z.number(),
  memory_static_max: z.number(),
  memory_dynamic_min: z.number(),
  memory_dynamic_max: z.number(),
  VCPUs_max: z.number(),
  VCPUs_at_startup: z.number(),
  HVM_boot_policy: z.string(),
  HVM_boot_params: texts,
  platform: texts,
  tags: z.array(z.string()),
});

const disk = z.object({
  device: z.string().regex(/^\d+$/),
  name: z.string(),
  bootable: z.boolean(),
  /** The source snapshot's disk. */
  vdi: z.string(),
  sizeBytes: z.int().positive(),
  /** Null where all disks are in one archive. */
  file: fileName.nullable(),
  fileBytes: z.int().nonnegative().nullable(),
  digests: fileName,
  digestsSha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Bytes in blocks that are not all zeros. */
  dataBytes: z.int().nonnegative(),
});

const object = z.object({ uuid: z.string(), name: z.string() });

const manifest = z.object({
  kind: z.literal('xenrepl seed'),
  version: z.literal(1),
  /** Names this seed; an import that is begun again goes on only with the same one. */
  id: z.string().regex(/^[\w-]{1,64}$/),
  madeAt: z.string(),
  source: z.object({ pool: z.string(), poolUuid: z.string() }),
  vm: object,
  snapshot: z.object({ ...object.shape, takenAt: z.string() }),
  format: z.enum(['xva', 'vhd']),
  compression: z.enum(['none', 'gzip']),
  blockBytes: z.literal(seedBlockBytes),
  /** The archive, where the format is `xva`. */
  file: fileName.nullable(),
  fileBytes: z.int().nonnegative().nullable(),
  settings,
  disks: z.array(disk).min(1),
});

export type SeedManifest = z.infer<typeof manifest>;
export type ManifestDisk = z.infer<typeof disk>;

/** Settings as they were written: every member that `VmSettings` has, whatever else a newer version adds. */
export function settingsOfManifest({ settings: read }: SeedManifest): VmSettings {
  return read as unknown as VmSettings;
}

/** What an export needs to go on after an interruption. */
const unfinished = z.object({
  kind: z.literal('xenrepl seed, unfinished'),
  version: z.literal(1),
  id: z.string(),
  pool: z.string(),
  vm: z.string(),
  format: z.enum(['xva', 'vhd']),
  compression: z.enum(['none', 'gzip']),
  /** Null until the snapshot was taken. */
  snapshot: z.string().nullable(),
  disks: z.array(disk),
});

export type UnfinishedSeed = z.infer<typeof unfinished>;

/** Null where the folder holds no finished seed. */
export async function readManifest(folder: string): Promise<SeedManifest | null> {
  return readJson(join(folder, manifestName), manifest);
}

export async function readUnfinished(folder: string): Promise<UnfinishedSeed | null> {
  return readJson(join(folder, unfinishedName), unfinished);
}

export async function writeUnfinished(folder: string, state: UnfinishedSeed): Promise<void> {
  await writeWhole(join(folder, unfinishedName), `${JSON.stringify(state, null, 2)}\n`);
}

/** From here on the folder is a seed. */
export async function writeManifest(folder: string, written: SeedManifest): Promise<void> {
  await writeWhole(join(folder, manifestName), `${JSON.stringify(written, null, 2)}\n`);
  await rm(join(folder, unfinishedName), { force: true });
}

/** Writes the digests of one disk; gives what the manifest says of them. */
export async function writeDigests(
  folder: string,
  device: string,
  digests: BlockDigests,
): Promise<Pick<ManifestDisk, 'digests' | 'digestsSha256'>> {
  const name = `disk-${device}.digests.json`;
  const text = `${JSON.stringify(digests)}\n`;
  await writeWhole(join(folder, name), text);
  return { digests: name, digestsSha256: sha256(text) };
}

/**
 * The digests of one disk.
 * @throws ReplicationError `seed-file` where the file is not the one that the manifest was written with.
 */
export async function readDigests(folder: string, of: ManifestDisk): Promise<BlockDigests> {
  const path = join(folder, of.digests);
  const text = await readBounded(path, digestsBytesMax);
  if (text === null || sha256(text) !== of.digestsSha256) {
    throw seedFileError(
      `${path} ${text === null ? 'is missing' : 'was changed since the seed was exported'}`,
      'carry the whole folder over again',
    );
  }
  const digests = z.array(z.string().nullable()).parse(JSON.parse(text));
  if (digests.length !== blockCount(of.sizeBytes)) {
    throw seedFileError(`${path} has ${String(digests.length)} digests`, 'carry the whole folder over again');
  }
  return digests;
}

/** Digests by device, of all disks of a seed. */
export async function readAllDigests(
  folder: string,
  { disks }: Pick<SeedManifest, 'disks'>,
): Promise<ReadonlyMap<string, BlockDigests>> {
  const all = new Map<string, BlockDigests>();
  for (const of of disks) all.set(of.device, await readDigests(folder, of));
  return all;
}

async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
  const text = await readBounded(path, manifestBytesMax);
  if (text === null) return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw seedFileError(
      `${path} is not JSON`,
      'carry the file over again, or begin with an empty folder',
      error,
    );
  }
  const result = schema.safeParse(parsed);
  if (result.success) return result.data;
  const where = result.error.issues.map(({ path: at, message }) => `${at.join('.')}: ${message}`).join('; ');
  throw seedFileError(
    `${path} is not the description of a seed that this version knows: ${where}`,
    'use the version of xenrepl that made it, or a newer one',
  );
}

async function readBounded(path: string, bytesMax: number): Promise<string | null> {
  const found = await stat(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  });
  if (found === null) return null;
  if (found.size > bytesMax) {
    throw seedFileError(
      `${path} has ${String(found.size)} bytes, at most ${String(bytesMax)} make sense`,
      'is this the right folder?',
    );
  }
  return readFile(path, 'utf8');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
