import { list, text } from '../database/row';
import type { Host } from '../pool/host';
import { isOpenForWriting, physicalBytes } from '../pool/attach';
import { coalesce, updateSr } from '../pool/disks';
import type { FaultCounter, FaultRule } from '../pool/faults';
import type { Pool } from '../pool/pool';
import type { ImageStore } from '../storage';
import type { CallCounters, GuestWriter, Inventory, PoolControl } from './api';
import { readGuestFile, writeGuestFile, type GuestDisk } from './guest-files';
import { GuestWriters } from './guest-writers';
import { noise } from './noise';

/** Classes of which a run could leave something behind. */
const inventoried = [
  'VM',
  'VDI',
  'VBD',
  'VIF',
  'VTPM',
  'SR',
  'PBD',
  'network',
  'task',
  'session',
  'pool',
  'host',
  'message',
];

/** Cuts the connections of a host. */
export type CutHost = (host: Host) => void;

/** The control verbs, carried out on the pool in this process. */
export class LocalControl implements PoolControl {
  readonly #pool: Pool;
  readonly #cut: CutHost;
  readonly #writers: GuestWriters;

  constructor(pool: Pool, cut: CutHost) {
    this.#pool = pool;
    this.#cut = cut;
    this.#writers = new GuestWriters(pool, (vdi, offset, data) => this.writeDisk(vdi, offset, data));
  }

  vmUuid(name: string): Promise<string> {
    const found = [...this.#pool.db.table('VM').rows()].filter(
      ([, row]) => text(row, 'name_label') === name && row['is_a_snapshot'] !== true,
    );
    const [first] = found;
    if (first === undefined || found.length > 1)
      return Promise.reject(
        new Error(`pool "${this.#pool.name}" has ${found.length} VMs named "${name}", expected one`),
      );
    return Promise.resolve(text(first[1], 'uuid'));
  }

  diskOf(vmUuid: string, device: number): Promise<string> {
    const { db } = this.#pool;
    const vm = this.#ref('VM', vmUuid);
    for (const vbd of db.list('VM', vm, 'VBDs')) {
      const row = db.row('VBD', vbd);
      if (text(row, 'userdevice') === String(device) && db.exists('VDI', text(row, 'VDI')))
        return Promise.resolve(db.text('VDI', text(row, 'VDI'), 'uuid'));
    }
    return Promise.reject(new Error(`VM ${vmUuid} has no disk at device ${device}`));
  }

  async writeDisk(vdiUuid: string, offsetBytes: number, data: Uint8Array): Promise<void> {
    const { vdi, store, id } = this.#disk(vdiUuid);
    await store.write(id, offsetBytes, data);
    const { db } = this.#pool;
    db.set('VDI', vdi, 'physical_utilisation', physicalBytes(this.#pool, vdi));
    // Nobody can write to a disk without attaching it, and that gives it a new content id.
    if (!isOpenForWriting(this.#pool, vdi)) {
      const config = db.map('VDI', vdi, 'other_config');
      db.set('VDI', vdi, 'other_config', { ...config, content_id: this.#pool.random.uuid() });
    }
  }

  async readDisk(vdiUuid: string, offsetBytes: number, lengthBytes: number): Promise<Uint8Array> {
    const { store, id } = this.#disk(vdiUuid);
    return store.read(id, offsetBytes, lengthBytes);
  }

  async digestDisk(vdiUuid: string): Promise<{ sha256: string; sizeBytes: number }> {
    const { store, id } = this.#disk(vdiUuid);
    return store.digest(id);
  }

  async digestData(vdiUuid: string): Promise<{ sha256: string; sizeBytes: number }> {
    const { store, id } = this.#disk(vdiUuid);
    return { sha256: await store.digestData(id), sizeBytes: store.image(id).sizeBytes };
  }

  async fillDisk(vdiUuid: string, offsetBytes: number, lengthBytes: number, seed = 1): Promise<void> {
    let atBytes = offsetBytes;
    for (const piece of noise(seed, lengthBytes)) {
      await this.writeDisk(vdiUuid, atBytes, piece);
      atBytes += piece.length;
    }
  }

  addFault(rule: FaultRule): Promise<string> {
    return attempt(() => this.#pool.faults.add(rule));
  }

  removeFault(id: string): Promise<void> {
    return attempt(() => this.#pool.faults.remove(id));
  }

  clearFaults(): Promise<void> {
    return attempt(() => this.#pool.faults.clear());
  }

  faultCounters(): Promise<readonly FaultCounter[]> {
    return attempt(() => this.#pool.faults.counters());
  }

  counters(): Promise<CallCounters> {
    return attempt(() => ({ ...this.#pool.counters, calls: { ...this.#pool.counters.calls } }));
  }

  resetCounters(): Promise<void> {
    return attempt(() => {
      this.#pool.counters = { calls: {}, bytesImported: 0, bytesExported: 0 };
    });
  }

  inventory(): Promise<Inventory> {
    return attempt(() => {
      const { db } = this.#pool;
      const classes = inventoried.filter((name) => db.hasClass(name));
      return structuredClone(
        Object.fromEntries(classes.map((name) => [name, Object.fromEntries(db.table(name).rows())])),
      );
    });
  }

  advanceClock(ms: number): Promise<void> {
    return attempt(() => this.#pool.clock.advance(ms));
  }

  restartCoordinator(): Promise<void> {
    return attempt(() => {
      this.#pool.restartCoordinator();
      this.#cut(this.#pool.coordinator);
    });
  }

  moveCoordinator(hostName: string): Promise<void> {
    return attempt(() => {
      const before = this.#pool.coordinator;
      this.#pool.moveCoordinator(this.#host(hostName).ref);
      this.#cut(before);
    });
  }

  unplugSr(srName: string, hostName: string): Promise<void> {
    return attempt(() => this.#setPlugged(srName, hostName, false));
  }

  plugSr(srName: string, hostName: string): Promise<void> {
    return attempt(() => this.#setPlugged(srName, hostName, true));
  }

  async coalesce(): Promise<number> {
    let merged = 0;
    for (const sr of this.#pool.stores.keys()) {
      for (let last = -1; last !== 0;) {
        last = await coalesce(this.#pool, sr);
        merged += last;
      }
      updateSr(this.#pool, sr);
    }
    return merged;
  }

  async setHostOffline(hostName: string, offline = true): Promise<void> {
    const pool = this.#pool;
    const host = this.#host(hostName);
    pool.db.set('host_metrics', pool.db.text('host', host.ref, 'metrics'), 'live', !offline);
    if (!offline) {
      pool.offline.delete(host.ref);
      return;
    }
    pool.offline.add(host.ref);
    this.#cut(host);
    for (const vdi of this.#disksOpenOn(host)) await breakTracking(pool, vdi);
  }

  setControlDomainLoad(hostName: string, load: number | null): Promise<void> {
    return attempt(() => {
      if (load !== null && !(Number.isFinite(load) && load >= 0))
        throw new Error(`a load average is a number from 0 on, or null, not ${String(load)}`);
      this.#pool.controlDomainLoads.set(this.#host(hostName).ref, load);
    });
  }

  setLineSpeed(hostName: string, bytesPerSecond: number | null): Promise<void> {
    return attempt(() => {
      if (bytesPerSecond !== null && !(Number.isSafeInteger(bytesPerSecond) && bytesPerSecond > 0))
        throw new Error(
          `the speed of a line is whole bytes a second, or null, not ${String(bytesPerSecond)}`,
        );
      this.#host(hostName).line.setSpeed(bytesPerSecond);
    });
  }

  #disksOpenOn(host: Host): string[] {
    const { db } = this.#pool;
    return db
      .list('host', host.ref, 'resident_VMs')
      .flatMap((vm) => db.list('VM', vm, 'VBDs'))
      .map((vbd) => db.text('VBD', vbd, 'VDI'))
      .filter((vdi) => db.exists('VDI', vdi));
  }

  async writeGuestFile(vdiUuid: string, path: string, content: Uint8Array): Promise<void> {
    await writeGuestFile(this.#guestDisk(vdiUuid), path, content);
  }

  async readGuestFile(vdiUuid: string, path: string): Promise<Uint8Array> {
    return readGuestFile(this.#guestDisk(vdiUuid), path);
  }

  #guestDisk(uuid: string): GuestDisk {
    const { store, id } = this.#disk(uuid);
    return { store, id, write: (offset, data) => this.writeDisk(uuid, offset, data) };
  }

  startWriter(writer: GuestWriter): Promise<string> {
    return attempt(() => {
      const { store, id } = this.#disk(writer.vdi);
      return this.#writers.start(writer, store.image(id).sizeBytes);
    });
  }

  stopWriter(id: string): Promise<number> {
    return this.#writers.stop(id);
  }

  /** Stops what runs in the background. */
  close(): Promise<void> {
    return this.#writers.stopAll();
  }

  #setPlugged(srName: string, hostName: string, plugged: boolean): void {
    const { db } = this.#pool;
    const host = this.#host(hostName);
    const sr = [...db.table('SR').rows()].find(([, row]) => text(row, 'name_label') === srName);
    if (sr === undefined) throw new Error(`pool "${this.#pool.name}" has no SR named "${srName}"`);
    const pbd = list(sr[1], 'PBDs').find((ref) => db.text('PBD', ref, 'host') === host.ref);
    if (pbd === undefined) throw new Error(`SR "${srName}" has no PBD on host "${hostName}"`);
    db.set('PBD', pbd, 'currently_attached', plugged);
  }

  #host(name: string): Host {
    const host = this.#pool.hosts.find((candidate) => candidate.name === name);
    if (host !== undefined) return host;
    const known = this.#pool.hosts.map((candidate) => candidate.name).join(', ');
    throw new Error(`pool "${this.#pool.name}" has no host named "${name}"; it has ${known}`);
  }

  #ref(className: string, uuid: string): string {
    const ref = this.#pool.db.table(className).refOfUuid(uuid.toLowerCase());
    if (ref === undefined) throw new Error(`pool "${this.#pool.name}" has no ${className} with uuid ${uuid}`);
    return ref;
  }

  #disk(uuid: string): { readonly vdi: string; readonly store: ImageStore; readonly id: string } {
    const vdi = this.#ref('VDI', uuid);
    const row = this.#pool.db.row('VDI', vdi);
    return { vdi, store: this.#pool.storeOf(text(row, 'SR')), id: text(row, 'location') };
  }
}

/** Logs of changes that were open when a host died are not to be trusted: tracking goes off by itself. */
async function breakTracking(pool: Pool, vdi: string): Promise<void> {
  const row = pool.db.row('VDI', vdi);
  if (row['cbt_enabled'] !== true) return;
  pool.db.set('VDI', vdi, 'cbt_enabled', false);
  await pool.storeOf(text(row, 'SR')).disableCbt(text(row, 'location'));
}

/** What a verb throws becomes a rejection, as it is over HTTP. */
function attempt<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => resolve(work()));
}
