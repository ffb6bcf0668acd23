import { flag, int, list, map, text } from '../database/row';
import { ApiError } from '../errors';
import type { Host } from './host';
import type { Pool } from './pool';
import { refreshVbd, refreshVdi } from './vdi-rules';

/** Block devices that fit into the control domain of a host. */
const controlDomainDevices = 16;

/**
 * Plugs the disk of a VBD in on `host`: the device gets its name, the VDI shows the host in `sm_config` and, for writing,
 * loses its `content_id`, since from now on its content may change.
 * @throws ApiError SR_BACKEND_FAILURE_46 when another host holds it, SR_HAS_NO_PBDS when this host does not see the SR.
 */
export function attachVbd(pool: Pool, vbd: string, host: Host): void {
  const { db } = pool;
  const row = db.row('VBD', vbd);
  const vdi = text(row, 'VDI');
  if (db.exists('VDI', vdi)) takeDisk(pool, vbd, vdi, host);
  db.update('VBD', vbd, { currently_attached: true, device: deviceName(pool, vbd) });
  refreshVbd(db, vbd);
  if (db.exists('VDI', vdi)) refreshVdi(db, vdi);
}

/** Unplugs it again; a VDI that was open for writing and has no `content_id` gets a new one. */
export function detachVbd(pool: Pool, vbd: string, host: Host): void {
  const { db } = pool;
  if (!db.exists('VBD', vbd) || !db.flag('VBD', vbd, 'currently_attached')) return;
  const vdi = db.text('VBD', vbd, 'VDI');
  db.set('VBD', vbd, 'currently_attached', false);
  refreshVbd(db, vbd);
  if (!db.exists('VDI', vdi)) return;
  const others = attachedVbds(pool, vdi).filter((other) => hostOfVbd(pool, other) === host);
  if (others.length === 0) db.removeFromMap('VDI', vdi, 'sm_config', hostKey(host));
  if (!isOpenForWriting(pool, vdi)) settleTracking(pool, vdi);
  const config = db.map('VDI', vdi, 'other_config');
  if (config['content_id'] === undefined && !isOpenForWriting(pool, vdi))
    db.set('VDI', vdi, 'other_config', { ...config, content_id: pool.random.uuid() });
  db.set('VDI', vdi, 'physical_utilisation', physicalBytes(pool, vdi));
  refreshVdi(db, vdi);
}

/** Once nobody writes any more the log of changes is complete, and survives a crash. */
function settleTracking(pool: Pool, vdi: string): void {
  const row = pool.db.row('VDI', vdi);
  const store = pool.stores.get(text(row, 'SR'));
  const id = text(row, 'location');
  if (store?.has(id) === true) store.settleCbt(id);
}

/** VBDs through which a disk is plugged in just now. */
export function attachedVbds(pool: Pool, vdi: string): string[] {
  return pool.db.list('VDI', vdi, 'VBDs').filter((vbd) => pool.db.flag('VBD', vbd, 'currently_attached'));
}

export function isOpenForWriting(pool: Pool, vdi: string): boolean {
  return attachedVbds(pool, vdi).some((vbd) => pool.db.text('VBD', vbd, 'mode') === 'RW');
}

/** Makes and plugs a VBD of the host's control domain, as a transfer does. Gives its ref. */
export function attachToControlDomain(pool: Pool, vdi: string, host: Host, mode: 'RO' | 'RW'): string {
  const { db } = pool;
  const row = db.row('VDI', vdi);
  if (text(row, 'type') === 'cbt_metadata') throw new ApiError('VDI_INCOMPATIBLE_TYPE', vdi, 'CBT metadata');
  if (mode === 'RW' && flag(row, 'read_only')) throw new ApiError('VDI_READONLY', vdi);
  const taken = new Set(
    db.list('VM', host.controlDomain, 'VBDs').map((vbd) => db.text('VBD', vbd, 'userdevice')),
  );
  const free = Array.from({ length: controlDomainDevices }, (_, index) => String(index)).find(
    (device) => !taken.has(device),
  );
  if (free === undefined)
    throw new ApiError('INTERNAL_ERROR', `no free block device in the control domain of ${host.name}`);
  const vbd = createVbd(pool, { VM: host.controlDomain, VDI: vdi, userdevice: free, mode });
  try {
    attachVbd(pool, vbd, host);
  } catch (error) {
    destroyVbd(pool, vbd);
    throw error;
  }
  return vbd;
}

/** Makes a VBD with its metrics object. */
export function createVbd(
  pool: Pool,
  values: Readonly<Record<string, string | boolean | Readonly<Record<string, string>>>>,
): string {
  const metrics = pool.db.create('VBD_metrics', {});
  const vbd = pool.db.create('VBD', {
    type: 'Disk',
    unpluggable: true,
    empty: false,
    bootable: false,
    metrics,
    ...values,
  });
  refreshVbd(pool.db, vbd);
  return vbd;
}

export function destroyVbd(pool: Pool, vbd: string): void {
  const { db } = pool;
  const [metrics, vdi] = [db.text('VBD', vbd, 'metrics'), db.text('VBD', vbd, 'VDI')];
  db.destroy('VBD', vbd);
  db.destroy('VBD_metrics', metrics);
  if (db.exists('VDI', vdi)) refreshVdi(db, vdi);
}

/** Bytes that a disk's own file takes, without those it shares with its parents. */
export function physicalBytes(pool: Pool, vdi: string): number {
  const row = pool.db.row('VDI', vdi);
  const store = pool.stores.get(text(row, 'SR'));
  const id = text(row, 'location');
  return store?.has(id) === true ? store.physicalBytes(id) : int(row, 'physical_utilisation');
}

function takeDisk(pool: Pool, vbd: string, vdi: string, host: Host): void {
  const { db } = pool;
  const write = db.text('VBD', vbd, 'mode') === 'RW';
  const row = db.row('VDI', vdi);
  assertVisible(pool, text(row, 'SR'), host);
  for (const other of attachedVbds(pool, vdi)) {
    const elsewhere = hostOfVbd(pool, other) !== host;
    const conflict = write || db.text('VBD', other, 'mode') === 'RW';
    if (elsewhere && conflict) throw busy(text(row, 'uuid'));
    const guests = [vbd, other].every((each) => !isOfControlDomain(pool, each));
    if (conflict && guests && !flag(row, 'sharable')) throw new ApiError('VDI_IN_USE', vdi, 'attach');
  }
  const mode = write || map(row, 'sm_config')[hostKey(host)] === 'RW' ? 'RW' : 'RO';
  db.set('VDI', vdi, 'sm_config', { ...map(row, 'sm_config'), [hostKey(host)]: mode });
  if (write) db.removeFromMap('VDI', vdi, 'other_config', 'content_id');
}

function busy(uuid: string): ApiError {
  return new ApiError(
    'SR_BACKEND_FAILURE_46',
    '',
    `The VDI is not available [opterr=VDI ${uuid} not detached cleanly]`,
    '',
  );
}

/** @throws ApiError SR_HAS_NO_PBDS unless a PBD of the host is plugged. */
export function assertVisible(pool: Pool, sr: string, host: Host): void {
  if (!pluggedHosts(pool, sr).includes(host.ref)) throw new ApiError('SR_HAS_NO_PBDS', sr);
}

/** Refs of the hosts on which an SR is plugged. */
export function pluggedHosts(pool: Pool, sr: string): string[] {
  return list(pool.db.row('SR', sr), 'PBDs').flatMap((pbd) => {
    const row = pool.db.row('PBD', pbd);
    return flag(row, 'currently_attached') ? [text(row, 'host')] : [];
  });
}

/** Control domains may read along, whoever writes. */
function isOfControlDomain(pool: Pool, vbd: string): boolean {
  return pool.db.flag('VM', pool.db.text('VBD', vbd, 'VM'), 'is_control_domain');
}

function hostKey(host: Host): string {
  return `host_${host.ref}`;
}

function hostOfVbd(pool: Pool, vbd: string): Host | undefined {
  const resident = pool.db.text('VM', pool.db.text('VBD', vbd, 'VM'), 'resident_on');
  return pool.hosts.find((host) => host.ref === resident);
}

/** xvda and so on by position; the control domain's devices carry the driver's own names. */
function deviceName(pool: Pool, vbd: string): string {
  const row = pool.db.row('VBD', vbd);
  const position = Number(text(row, 'userdevice'));
  if (!Number.isInteger(position)) return text(row, 'userdevice');
  const control = pool.db.flag('VM', text(row, 'VM'), 'is_control_domain');
  if (control) return `sm/backend/${position}`;
  return position < 26 ? `xvd${String.fromCharCode(97 + position)}` : `xvd${position}`;
}
