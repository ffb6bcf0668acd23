/**
 * Writes a seed to files: the snapshot's disks and a description with a digest of each block.
 *
 * XAPI exports streams from their beginning and knows no other place to begin at. So what can be resumed is a disk that
 * is finished: with one VHD per disk only the disk that was interrupted is sent again, an archive as a whole.
 */
import { setMaxListeners } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pool, Ref } from '../../xapi';
import { ReplicationError } from '../errors';
import { disksOf, vmId } from '../observe/disks';
import { settingsOf } from '../observe/settings';
import { byUuid, readWorld } from '../observe/world';
import type { World } from '../observe/world';
import { encode, isReplicationKey, withoutReplicationKeys } from '../../planner/keys';
import type { ObjectId, ObservedDisk } from '../../planner/observation';
import { readVm } from '../steps/read-vm';
import type { SeedContext } from './context';
import { seedFileError } from './errors';
import { exportArchive } from './export-archive';
import { exportDisks } from './export-disks';
import { assertLengths } from './files/lengths';
import { underLockFile } from './files/lock-file';
import { readManifest, readUnfinished, writeManifest, writeUnfinished } from './files/manifest';
import type { ManifestDisk, SeedManifest, UnfinishedSeed } from './files/manifest';
import { assertUnused } from './files/unused';
import { seedBlockBytes } from './blocks';
import { discardEndedTasks } from './tasks';

export type SeedFormat = 'xva' | 'vhd';
export type SeedCompression = 'none' | 'gzip';

export interface ExportSeedOptions {
  readonly source: Pool;
  /** A VM, of which a snapshot is taken; or a snapshot that was taken already. */
  readonly of:
    { readonly kind: 'vm'; readonly uuid: string } | { readonly kind: 'snapshot'; readonly uuid: string };
  /** Made where it is not there; it holds one seed. */
  readonly folder: string;
  readonly format: SeedFormat;
  /** Of an archive; single disks are not compressed. */
  readonly compression: SeedCompression;
  /** How much of the stream is taken in a second; absent: as much as comes. */
  readonly bytesPerSecond?: number;
  readonly context: SeedContext;
}

export interface ExportReport {
  readonly folder: string;
  readonly manifest: SeedManifest;
  /** True where the folder held this seed already, whole. */
  readonly wasComplete: boolean;
}

/** The snapshot, read when everything about it is settled. */
export interface ExportedSnapshot {
  readonly id: ObjectId;
  readonly vm: ObjectId;
  readonly takenAt: string;
  readonly disks: readonly ObservedDisk[];
}

/** @throws ReplicationError `vm-missing`, `seed-refused`, `seed-file`, `locked`: the message names what stands in the way. */
export async function exportSeed(options: ExportSeedOptions): Promise<ExportReport> {
  const { folder, context } = options;
  setMaxListeners(0, context.signal);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = join(folder, '.xenrepl-export.lock');
  return underLockFile(lock, `export to ${folder}`, context, () => exportTo(options));
}

async function exportTo(options: ExportSeedOptions): Promise<ExportReport> {
  const { folder, context, source } = options;
  const world = await readWorld(source, { signal: context.signal });
  const vm = vmOf(options, world);
  context.emit({ kind: 'seed-started', action: 'export', vm: { uuid: vm.uuid, name: vm.name } });
  const finished = await readManifest(folder);
  if (finished !== null) return await alreadyThere(options, vm, finished);
  const state = await begin(options, vm);
  await discardEndedTasks(source, state.id, { signal: context.signal });
  const { snapshot, record } = await takeSnapshot(options, vm, state);
  const known: UnfinishedSeed = { ...state, snapshot: snapshot.id.uuid };
  await writeUnfinished(folder, known);
  const written = await writeFiles(options, snapshot, known);
  const manifest: SeedManifest = {
    kind: 'xenrepl seed',
    version: 1,
    id: state.id,
    madeAt: new Date(context.clock.nowMs()).toISOString(),
    source: { pool: source.name, poolUuid: source.uuid },
    vm: { uuid: vm.uuid, name: vm.name },
    snapshot: { uuid: snapshot.id.uuid, name: snapshot.id.name, takenAt: snapshot.takenAt },
    format: options.format,
    compression: options.compression,
    blockBytes: seedBlockBytes,
    settings: { ...settingsOf({ ...record, name_label: vm.name }), tags: [...record.tags] },
    ...written,
  };
  await writeManifest(folder, manifest);
  return { folder, manifest, wasComplete: false };
}

async function writeFiles(
  options: ExportSeedOptions,
  snapshot: ExportedSnapshot,
  state: UnfinishedSeed,
): Promise<WrittenFiles> {
  try {
    return options.format === 'vhd'
      ? await exportDisks(options, snapshot, state)
      : await exportArchive(options, snapshot, state.id);
  } catch (error) {
    // Whoever goes on in another folder would otherwise take another one, and forget this one.
    const text =
      `snapshot ${snapshot.id.uuid} stays for the next try: with the same folder it is used again, with another one ` +
      'where it is named by --snapshot';
    options.context.emit({ kind: 'seed-note', text });
    throw error;
  }
}

/** What the two ways of writing give. */
export interface WrittenFiles {
  readonly file: string | null;
  readonly fileBytes: number | null;
  readonly disks: ManifestDisk[];
}

function vmOf({ of, source }: ExportSeedOptions, world: World): ObjectId {
  const found = byUuid(world.vms, of.uuid);
  const what = of.kind === 'vm' ? 'VM' : 'snapshot';
  if (found === null || found.record.is_control_domain) {
    throw new ReplicationError(
      'vm-missing',
      `Cannot export: pool "${source.name}" has no ${what} ${of.uuid}`,
      {
        retry: 'never',
        hint: 'xe vm-list and xe snapshot-list show the uuids',
      },
    );
  }
  const { ref, record } = found;
  const id = vmId(ref, record);
  if (record.is_a_snapshot !== (of.kind === 'snapshot')) {
    throw refused(
      `"${id.name}" (${id.uuid}) is ${record.is_a_snapshot ? 'a snapshot' : 'no snapshot'}`,
      of.kind === 'vm'
        ? 'name it as a snapshot (--snapshot)'
        : 'name it as a VM (--vm): a snapshot is taken of it',
    );
  }
  if (of.kind === 'vm') return id;
  const owner = world.vms.get(record.snapshot_of);
  if (owner === undefined) {
    throw refused(
      `the VM that snapshot "${id.name}" (${id.uuid}) was taken of is gone`,
      'name another snapshot',
    );
  }
  return vmId(record.snapshot_of, owner);
}

async function alreadyThere(
  options: ExportSeedOptions,
  vm: ObjectId,
  manifest: SeedManifest,
): Promise<ExportReport> {
  const same =
    manifest.vm.uuid === vm.uuid &&
    manifest.format === options.format &&
    (options.of.kind === 'vm' || manifest.snapshot.uuid === options.of.uuid.toLowerCase());
  if (same) {
    const files = [...manifest.disks, manifest];
    await assertLengths(options.folder, files, 'empty the folder, or name another one, and export again');
    return { folder: options.folder, manifest, wasComplete: true };
  }
  throw seedFileError(
    `${options.folder} holds another seed: of VM "${manifest.vm.name}" (${manifest.vm.uuid}), snapshot ${manifest.snapshot.uuid}, as ${manifest.format}`,
    'name an empty folder',
  );
}

/** What an interrupted export of the same left, or a new beginning; written down before a snapshot is taken. */
async function begin(options: ExportSeedOptions, vm: ObjectId): Promise<UnfinishedSeed> {
  const { folder, source, format, compression, of, context } = options;
  const found = await readUnfinished(folder);
  const wanted = of.kind === 'snapshot' ? of.uuid.toLowerCase() : null;
  if (found === null) {
    await assertUnused(folder);
    const state: UnfinishedSeed = {
      kind: 'xenrepl seed, unfinished',
      version: 1,
      id: context.runId,
      pool: source.uuid,
      vm: vm.uuid,
      format,
      compression,
      snapshot: wanted,
      disks: [],
    };
    await writeUnfinished(folder, state);
    return state;
  }
  const same =
    found.pool === source.uuid &&
    found.vm === vm.uuid &&
    found.format === format &&
    found.compression === compression &&
    (wanted === null || found.snapshot === null || found.snapshot === wanted);
  if (!same) {
    throw seedFileError(
      `${folder} holds the beginning of another export: of VM ${found.vm}, as ${found.format}`,
      'finish that one with the same arguments, or name an empty folder',
    );
  }
  context.emit({ kind: 'seed-note', text: 'going on with an export that was interrupted' });
  return { ...found, snapshot: found.snapshot ?? wanted };
}

async function takeSnapshot(
  { source, context }: ExportSeedOptions,
  vm: ObjectId,
  state: UnfinishedSeed,
): Promise<{ readonly snapshot: ExportedSnapshot; readonly record: ReturnType<typeof recordOf> }> {
  const options = { signal: context.signal };
  // Its name says whose it is: taken by a try that died before it could write down the uuid, it is found by it.
  const name = `Seed of ${vm.name} (${state.id})`;
  let world = await readWorld(source, options);
  let found =
    state.snapshot === null
      ? [...world.vms].find(([, { is_a_snapshot: is, name_label: label }]) => is && label === name)?.[0]
      : byUuid(world.vms, state.snapshot)?.ref;
  if (found === undefined && state.snapshot !== null) {
    throw refused(
      `the snapshot ${state.snapshot} that this export began with is gone`,
      'begin again in an empty folder: what was exported so far belongs to that snapshot',
    );
  }
  if (state.snapshot === null || found === undefined) {
    found ??= await source.callTask('VM.snapshot', [vm.ref as Ref<'VM'>, name]);
    await markSnapshot(source, found as Ref<'VM'>, state.id);
    world = await readWorld(source, options);
  }
  const record = recordOf(world, found);
  const disks = disksOf(world, record);
  assertExportable(vm, disks);
  const snapshot = { id: vmId(found, record), vm, takenAt: record.snapshot_time, disks };
  context.emit({ kind: 'seed-note', text: `snapshot "${snapshot.id.name}" (${snapshot.id.uuid})` });
  return { snapshot, record };
}

/**
 * What it inherited of replication keys speaks for other copies; an archive would carry it along. Its own mark says that
 * nobody but this export asked for it.
 */
async function markSnapshot(source: Pool, ref: Ref<'VM'>, files: string): Promise<void> {
  const { record, disks } = await readVm(source, ref);
  const mark = encode.seedSnapshot({ v: 1, self: record.uuid, files });
  await source.call('VM.set_other_config', [
    ref,
    { ...withoutReplicationKeys(record.other_config), ...mark },
  ]);
  await source.call('VM.set_is_a_template', [ref, false]);
  for (const disk of disks) {
    const inherited = disk.record.other_config;
    if (!Object.keys(inherited).some(isReplicationKey)) continue;
    await source.call('VDI.set_other_config', [disk.ref as Ref<'VDI'>, withoutReplicationKeys(inherited)]);
  }
}

function recordOf(world: World, ref: string): World['vms'] extends ReadonlyMap<string, infer R> ? R : never {
  const record = world.vms.get(ref);
  if (record === undefined) throw refused('the snapshot went away as it was read', 'try again');
  return record;
}

function assertExportable(vm: ObjectId, disks: readonly ObservedDisk[]): void {
  if (disks.length === 0)
    throw refused(`VM "${vm.name}" (${vm.uuid}) has no disk`, 'there is nothing to carry');
  const raw = disks.filter((disk) => disk.raw).map(({ vdi }) => `"${vdi.name}" (${vdi.uuid})`);
  if (raw.length > 0) {
    throw refused(
      `only VHD disks have a delta export, these are raw or of another format: ${raw.join(', ')}`,
      'move the disk to an SR that keeps VHD: otherwise no run could go on from the seed',
    );
  }
}

function refused(what: string, hint: string): ReplicationError {
  return new ReplicationError('seed-refused', `Cannot export a seed: ${what}`, { retry: 'never', hint });
}
