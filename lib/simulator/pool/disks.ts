import { formatDate, never } from '../clock';
import { list, map, text, without } from '../database/row';
import { ApiError } from '../errors';
import type { Value } from '../rpc/unmarshal';
import { NoSpaceError, roundSize, type ImageStore } from '../storage';
import { isOpenForWriting, physicalBytes, pluggedHosts } from './attach';
import type { Pool } from './pool';
import { refreshVdi } from './vdi-rules';

/** VHD files hold no more than this. */
const largestBytes = 2040 * 1024 ** 3;
/** A chain of more files than this is refused until some of them were merged. */
const longestChain = 30;

/** Makes a disk; its size is rounded up to whole 2 MiB blocks. @throws ApiError SR_BACKEND_FAILURE_44, … */
export async function createDisk(pool: Pool, values: Readonly<Record<string, Value>>): Promise<string> {
  const { db } = pool;
  const sr = text(values, 'SR');
  assertPlugged(pool, sr);
  const size = checkedSize(Number(values['virtual_size']));
  const config = map(values, 'sm_config');
  const raw = config['type'] === 'raw';
  if (raw && !db.text('SR', sr, 'type').startsWith('lvm'))
    throw new ApiError('SR_OPERATION_NOT_SUPPORTED', sr);
  const uuid = pool.random.uuid();
  await storage(pool, sr, (store) => store.create(uuid, size));
  const vdi = db.create('VDI', {
    ...values,
    uuid,
    virtual_size: size,
    location: uuid,
    managed: true,
    metadata_of_pool: '',
    sm_config: { ...config, vdi_type: raw ? 'aio' : 'vhd' },
  });
  settle(pool, [vdi]);
  return vdi;
}

/** Snapshot or clone of a disk: up to two new records, since the common past moves into a hidden parent. */
export async function branchDisk(pool: Pool, vdi: string, kind: 'snapshot' | 'clone'): Promise<string> {
  const { db } = pool;
  const row = db.row('VDI', vdi);
  const sr = text(row, 'SR');
  assertPlugged(pool, sr);
  // A raw volume has no chain to branch.
  if (map(row, 'sm_config')['type'] === 'raw') throw new ApiError('SR_OPERATION_NOT_SUPPORTED', sr);
  const [source, uuid, baseUuid] = [text(row, 'location'), pool.random.uuid(), pool.random.uuid()];
  const { baseCopy } = await storage(pool, sr, (store) => {
    if (store.depth(source) >= longestChain) throw chainTooLong();
    return kind === 'snapshot' ? store.snapshot(source, uuid, baseUuid) : store.clone(source, uuid, baseUuid);
  });
  const copied = { ...row };
  const made = db.create('VDI', {
    ...branchedFields(pool, vdi, copied, kind),
    uuid,
    location: uuid,
    sm_config: { vdi_type: 'vhd' },
    VBDs: [],
  });
  const touched = [vdi, made];
  if (baseCopy !== null) touched.push(recordBaseCopy(pool, copied, baseCopy));
  settle(pool, touched);
  return made;
}

function branchedFields(
  pool: Pool,
  vdi: string,
  row: Readonly<Record<string, Value>>,
  kind: 'snapshot' | 'clone',
): Record<string, Value> {
  const snapshot = kind === 'snapshot';
  const keep = ['name_label', 'name_description', 'SR', 'virtual_size', 'type', 'xenstore_data'];
  const copied = Object.fromEntries(keep.map((field) => [field, row[field] ?? '']));
  const config = map(row, 'other_config');
  const contentId = isOpenForWriting(pool, vdi) ? { content_id: pool.random.uuid() } : {};
  return {
    ...copied,
    other_config: { ...config, ...contentId },
    managed: true,
    metadata_of_pool: '',
    is_a_snapshot: snapshot,
    snapshot_of: snapshot ? vdi : 'OpaqueRef:NULL',
    snapshot_time: snapshot ? formatDate(pool.clock.now()) : timeOfClone(row),
    cbt_enabled: snapshot && row['cbt_enabled'] === true,
    sharable: false,
    read_only: false,
    tags: [],
  };
}

/** A clone of a snapshot keeps the time of the snapshot. */
function timeOfClone(row: Readonly<Record<string, Value>>): string {
  return row['is_a_snapshot'] === true ? text(row, 'snapshot_time') : never;
}

function recordBaseCopy(pool: Pool, row: Readonly<Record<string, Value>>, uuid: string): string {
  return pool.db.create('VDI', {
    uuid,
    location: uuid,
    name_label: 'base copy',
    SR: row['SR'] ?? '',
    virtual_size: row['virtual_size'] ?? 0,
    type: row['type'] ?? 'user',
    managed: false,
    read_only: true,
    metadata_of_pool: '',
    sm_config: { vdi_type: 'vhd' },
  });
}

/** Removes a disk and the VBD records that point at it; its file's parents are merged later. */
export async function destroyDisk(pool: Pool, vdi: string): Promise<void> {
  const { db } = pool;
  const row = db.row('VDI', vdi);
  const [sr, id] = [text(row, 'SR'), text(row, 'location')];
  assertPlugged(pool, sr);
  await storage(pool, sr, async (store) => {
    if (store.has(id)) await store.destroy(id);
  });
  for (const vbd of list(row, 'VBDs')) db.destroy('VBD', vbd);
  db.destroy('VDI', vdi);
  updateSr(pool, sr);
  pool.scheduleCoalesce(sr);
}

/** Grows a disk. @throws ApiError when it would shrink. */
export async function resizeDisk(pool: Pool, vdi: string, sizeBytes: number): Promise<void> {
  const row = pool.db.row('VDI', vdi);
  const size = checkedSize(sizeBytes);
  if (size < Number(row['virtual_size']))
    throw new ApiError('SR_BACKEND_FAILURE_79', '', 'VDI Invalid size [opterr=shrinking not allowed]', '');
  await storage(pool, text(row, 'SR'), (store) => store.resize(text(row, 'location'), size));
  pool.db.set('VDI', vdi, 'virtual_size', size);
  settle(pool, [vdi]);
}

/** Merges parents with a single child: records of base copies vanish, `vhd-parent` of others changes. */
export async function coalesce(pool: Pool, sr: string): Promise<number> {
  const merged = await storage(pool, sr, (store) => store.coalesce());
  const { db } = pool;
  for (const { removed } of merged) {
    const vdi = db.table('VDI').refOfUuid(removed);
    if (vdi !== undefined) db.destroy('VDI', vdi);
  }
  if (merged.length > 0) settle(pool, db.list('SR', sr, 'VDIs'));
  return merged.length;
}

/** Work on an SR's files, one at a time; what fails there becomes the error that the storage manager gives. */
export async function storage<T>(
  pool: Pool,
  sr: string,
  work: (store: ImageStore) => Promise<T> | T,
): Promise<T> {
  const store = pool.storeOf(sr);
  return pool.inStorage(sr, async () => {
    try {
      return await work(store);
    } catch (error) {
      if (error instanceof NoSpaceError) throw noSpace();
      throw error;
    }
  });
}

export function noSpace(): ApiError {
  return new ApiError('SR_BACKEND_FAILURE_44', '', 'There is insufficient space', '');
}

function chainTooLong(): ApiError {
  return new ApiError('SR_BACKEND_FAILURE_109', '', 'The snapshot chain is too long', '');
}

function checkedSize(bytes: number): number {
  if (bytes <= 0 || bytes > largestBytes)
    throw new ApiError(
      'SR_BACKEND_FAILURE_79',
      '',
      `VDI Invalid size [opterr=VDI size must be between 1 MB and ${largestBytes / 1024 ** 2} MB]`,
      '',
    );
  return roundSize(bytes);
}

/** @throws ApiError HANDLE_INVALID, SR_HAS_NO_PBDS */
export function assertPlugged(pool: Pool, sr: string): void {
  pool.db.row('SR', sr);
  if (pluggedHosts(pool, sr).length === 0) throw new ApiError('SR_HAS_NO_PBDS', sr);
}

/** Brings what the records say about files up to date. */
export function settle(pool: Pool, vdis: readonly string[]): void {
  const { db } = pool;
  const srs = new Set<string>();
  for (const vdi of vdis) {
    if (!db.exists('VDI', vdi)) continue;
    const row = db.row('VDI', vdi);
    const store = pool.stores.get(text(row, 'SR'));
    const id = text(row, 'location');
    srs.add(text(row, 'SR'));
    if (store?.has(id) === true) {
      const parent = store.image(id).parent?.id;
      const config = without(map(row, 'sm_config'), 'vhd-parent');
      db.set('VDI', vdi, 'sm_config', parent === undefined ? config : { ...config, 'vhd-parent': parent });
      db.set('VDI', vdi, 'physical_utilisation', physicalBytes(pool, vdi));
    }
    refreshVdi(db, vdi);
  }
  for (const sr of srs) updateSr(pool, sr);
}

/** Space as of now; these fields are stale until somebody asks for a scan or an operation touches the SR. */
export function updateSr(pool: Pool, sr: string): void {
  const store = pool.stores.get(sr);
  if (store === undefined) return;
  pool.db.update('SR', sr, {
    physical_utilisation: store.usedBytes(),
    virtual_allocation: store.virtualBytes(),
  });
}
