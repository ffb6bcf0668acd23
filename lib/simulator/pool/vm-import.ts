import { flag, list, map, text, without } from '../database/row';
import type { Row } from '../database/table';
import { ApiError } from '../errors';
import { createVif } from '../methods/vif';
import { createVm, destroyVm } from '../methods/vm-create';
import { refreshVm } from '../methods/vm-rules';
import { readXmlValue } from '../rpc/xml-read';
import { unmarshal, type Value } from '../rpc/unmarshal';
import type { Rpc } from '../rpc/value';
import type { TransferVdi, VmImport, VmImportOptions } from '../transfer';
import { createVbd } from './attach';
import { createDisk, destroyDisk } from './disks';
import type { Pool } from './pool';
import { transferVdi } from './transfer-vdi';

/**
 * Makes the objects of an archive: VMs, devices, empty disks that take the data. Without `restore` a VM gets a new uuid,
 * `mac_seed` and new MACs; with it they are kept.
 * @throws ApiError IMPORT_ERROR_…, VM_TO_IMPORT_IS_NOT_NEWER_VERSION, DUPLICATE_MAC_SEED, and what making disks can fail with.
 */
export async function beginVmImport(pool: Pool, options: VmImportOptions): Promise<VmImport> {
  const importer = new Importer(pool, options);
  try {
    await importer.create();
  } catch (error) {
    await importer.rollback();
    throw error;
  }
  return importer;
}

interface ArchivedObject {
  readonly className: string;
  readonly id: string;
  readonly row: Row;
}

class Importer implements VmImport {
  readonly disks = new Map<string, TransferVdi>();
  readonly vmRefs: string[] = [];
  readonly #pool: Pool;
  readonly #options: VmImportOptions;
  readonly #objects: readonly ArchivedObject[];
  /** New refs by the archive's ids. */
  readonly #made = new Map<string, string>();
  readonly #networks: string[] = [];

  constructor(pool: Pool, options: VmImportOptions) {
    this.#pool = pool;
    this.#options = options;
    this.#objects = readArchive(pool, options.ovaXml);
  }

  async create(): Promise<void> {
    for (const vm of this.#of('VM')) await this.#createVm(vm);
    for (const vdi of this.#of('VDI')) await this.#createDisk(vdi);
    for (const vbd of this.#of('VBD')) this.#createVbd(vbd.row);
    for (const vif of this.#of('VIF')) this.#createVif(vif.row);
    for (const vm of this.#of('VM')) this.#linkSnapshot(vm);
  }

  commit(): Promise<void> {
    for (const vm of this.vmRefs) {
      refreshVm(this.#pool.db, vm);
      this.#pool.announce('VM_IMPORTED', 'VM', this.#pool.db.text('VM', vm, 'uuid'), 'VM imported');
    }
    return Promise.resolve();
  }

  async rollback(): Promise<void> {
    const { db } = this.#pool;
    for (const vm of this.vmRefs) if (db.exists('VM', vm)) destroyVm(this.#pool, vm);
    for (const { ref } of this.disks.values()) if (db.exists('VDI', ref)) await destroyDisk(this.#pool, ref);
    for (const network of this.#networks) db.destroy('network', network);
  }

  #of(className: string): readonly ArchivedObject[] {
    return this.#objects.filter((object) => object.className === className);
  }

  async #createVm({ id, row }: ArchivedObject): Promise<void> {
    const pool = this.#pool;
    const { restore } = this.#options;
    const uuid = text(row, 'uuid');
    if (restore) await this.#makeRoomFor(uuid, map(row, 'other_config')['mac_seed']);
    const config = without(map(row, 'other_config'), ...(restore ? [] : ['mac_seed']));
    const vm = createVm(pool, { ...without(row, ...ownFields), other_config: config });
    this.#made.set(id, vm);
    this.vmRefs.push(vm);
    pool.db.update('VM', vm, {
      ...(restore ? { uuid } : {}),
      is_a_snapshot: flag(row, 'is_a_snapshot'),
      snapshot_time: text(row, 'snapshot_time'),
      snapshot_info: map(row, 'snapshot_info'),
    });
  }

  /** With `force` the VM that has the uuid is replaced; its disks stay. */
  #makeRoomFor(uuid: string, macSeed: string | undefined): Promise<void> {
    const { db } = this.#pool;
    const existing = db.table('VM').refOfUuid(uuid);
    if (existing !== undefined && !this.#options.force)
      throw new ApiError('VM_TO_IMPORT_IS_NOT_NEWER_VERSION', existing, '0', '0');
    if (existing !== undefined) destroyVm(this.#pool, existing);
    const twin = [...db.table('VM').rows()].find(
      ([ref, row]) =>
        macSeed !== undefined &&
        map(row, 'other_config')['mac_seed'] === macSeed &&
        !this.vmRefs.includes(ref) &&
        text(row, 'snapshot_of') !== existing,
    );
    if (twin !== undefined) throw new ApiError('DUPLICATE_MAC_SEED', macSeed ?? '');
    return Promise.resolve();
  }

  async #createDisk({ id, row }: ArchivedObject): Promise<void> {
    const { srRef, metadataOnly, query } = this.#options;
    if (metadataOnly) {
      const mapped = query.find(([key]) => key === `vdi:${text(row, 'location')}`)?.[1];
      const known = mapped ?? this.#pool.db.table('VDI').refOfUuid(text(row, 'uuid'));
      if (known !== undefined) this.#made.set(id, known);
      return;
    }
    const vdi = await createDisk(this.#pool, {
      SR: srRef ?? '',
      name_label: text(row, 'name_label'),
      name_description: text(row, 'name_description'),
      virtual_size: row['virtual_size'] ?? 0,
      type: text(row, 'type'),
      sharable: flag(row, 'sharable'),
      read_only: false,
      other_config: map(row, 'other_config'),
      xenstore_data: map(row, 'xenstore_data'),
      tags: list(row, 'tags'),
      sm_config: {},
    });
    this.#made.set(id, vdi);
    this.disks.set(id, transferVdi(this.#pool, vdi));
  }

  #createVbd(row: Row): void {
    const vm = this.#made.get(text(row, 'VM'));
    const vdi = this.#made.get(text(row, 'VDI'));
    const empty = text(row, 'type') === 'CD' && vdi === undefined;
    if (vm === undefined || (vdi === undefined && !empty)) return;
    const kept = without(
      row,
      'uuid',
      'metrics',
      'allowed_operations',
      'current_operations',
      'currently_attached',
      'device',
    );
    createVbd(this.#pool, {
      ...(kept as Record<string, string>),
      VM: vm,
      VDI: vdi ?? 'OpaqueRef:NULL',
      empty,
    });
  }

  #createVif(row: Row): void {
    const vm = this.#made.get(text(row, 'VM'));
    if (vm === undefined) return;
    const archived = this.#objects.find((object) => object.id === text(row, 'network'));
    const network = this.#networkLike(archived?.row ?? {});
    const mac = this.#options.restore ? text(row, 'MAC') : '';
    const vif = createVif(this.#pool, { ...row, VM: vm, network, MAC: mac });
    if (this.#options.restore)
      this.#pool.db.set('VIF', vif, 'MAC_autogenerated', flag(row, 'MAC_autogenerated'));
  }

  /** A network of the same bridge, else a new one of the same name. */
  #networkLike(row: Row): string {
    const { db } = this.#pool;
    const known = [...db.table('network').rows()].find(
      ([, other]) => text(other, 'bridge') === text(row, 'bridge'),
    );
    if (known !== undefined) return known[0];
    const bridge = `xapi${db.table('network').size}`;
    const kept = without(row, 'uuid', 'PIFs', 'VIFs', 'allowed_operations', 'current_operations', 'purpose');
    const network = db.create('network', { ...kept, bridge });
    this.#networks.push(network);
    return network;
  }

  #linkSnapshot({ id, row }: ArchivedObject): void {
    const vm = this.#made.get(id);
    if (vm === undefined) return;
    for (const field of ['snapshot_of', 'parent']) {
      const other = this.#made.get(text(row, field));
      this.#pool.db.set('VM', vm, field, other ?? 'OpaqueRef:NULL');
    }
  }
}

/** Fields of a VM that are made anew or follow from others. */
const ownFields = [
  'uuid',
  'VBDs',
  'VIFs',
  'VTPMs',
  'VGPUs',
  'VUSBs',
  'consoles',
  'snapshots',
  'children',
  'crash_dumps',
  'attached_PCIs',
  'metrics',
  'guest_metrics',
  'resident_on',
  'affinity',
  'snapshot_of',
  'parent',
  'allowed_operations',
  'current_operations',
  'power_state',
  'appliance',
  'blobs',
];

/** @throws ApiError IMPORT_ERROR when the document is none. */
function readArchive(pool: Pool, ovaXml: string): ArchivedObject[] {
  try {
    const objects = member(readXmlValue(ovaXml), 'objects');
    if (objects?.kind !== 'list') throw new Error('ova.xml has no list of objects');
    return objects.items.map((object) => readObject(pool, object));
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError('IMPORT_ERROR', error instanceof Error ? error.message : String(error));
  }
}

function readObject(pool: Pool, object: Rpc): ArchivedObject {
  const [className, id] = [textMember(object, 'class'), textMember(object, 'id')];
  const snapshot = member(object, 'snapshot');
  const row: Record<string, Value> = {};
  for (const field of pool.model.classes.get(className)?.fields.values() ?? []) {
    const value = snapshot === undefined ? undefined : member(snapshot, field.name);
    row[field.name] = value === undefined ? (field.initial as Value) : unmarshal(value, field.type);
  }
  return { className, id, row };
}

function member(value: Rpc, name: string): Rpc | undefined {
  return value.kind === 'dict' ? value.members.find(([key]) => key === name)?.[1] : undefined;
}

function textMember(value: Rpc, name: string): string {
  const found = member(value, name);
  if (found?.kind !== 'string') throw new Error(`an object of ova.xml has no ${name}`);
  return found.text;
}
