/**
 * A pool in a few lines, with records as XAPI gives them. Objects are named, and a name is the object's uuid. What
 * XAPI copies is copied: a snapshot and a clone inherit names of disks, `other_config` and tags, and with them
 * every key that means something else on them.
 */
import type { World } from '../../../lib/engine/observe/world';
import { jobWith } from '../../planner/literals';

type Fields = Readonly<Record<string, unknown>>;
type Config = Readonly<Record<string, string>>;
type Row = Record<string, unknown> & {
  uuid: string;
  name_label: string;
  other_config: Config;
  VBDs?: string[];
};

const none = 'OpaqueRef:NULL';

export const job = jobWith();

interface NewVm {
  readonly disks?: readonly string[];
  readonly networks?: readonly string[];
  readonly config?: Config;
  readonly fields?: Fields;
}

export class SmallWorld {
  readonly #vms = new Map<string, Row>();
  readonly #vdis = new Map<string, Row>();
  readonly #vbds = new Map<string, Record<string, unknown>>();
  readonly #vifs = new Map<string, Record<string, unknown>>();
  readonly #networks = new Map<string, Row>();
  readonly #srs = new Map<string, Row>();
  readonly #tasks = new Map<string, Fields>();

  constructor(sr: string, fields: Fields = {}) {
    this.sr(sr, fields);
  }

  sr(name: string, fields: Fields = {}): this {
    const plain = {
      type: 'ext',
      physical_size: 1000,
      physical_utilisation: 400,
      sm_config: {},
      other_config: {},
    };
    this.#srs.set(ref(name), { uuid: name, name_label: name, ...plain, ...fields });
    return this;
  }

  network(uuid: string, name = uuid): this {
    this.#networks.set(ref(uuid), { uuid, name_label: name, other_config: {} });
    return this;
  }

  /** A VM with its disks at devices 0, 1, … and cards on its networks. */
  vm(name: string, { disks = [], networks = [], config = {}, fields = {} }: NewVm = {}): this {
    this.#vms.set(ref(name), {
      ...plainVm,
      uuid: name,
      name_label: name,
      other_config: config,
      ...fields,
      VBDs: [],
    });
    disks.forEach((disk, device) => this.disk(disk).attach(disk, name, String(device)));
    const vifs = networks.map((network, device) => {
      const vif = ref(`${name} card ${String(device)}`);
      this.#vifs.set(vif, {
        device: String(device),
        network: ref(network),
        MAC: `02:${String(device)}`,
        MTU: 1500,
      });
      return vif;
    });
    Object.assign(this.#rowOf(name), { VIFs: vifs });
    return this;
  }

  disk(name: string, fields: Fields = {}): this {
    const [sr] = this.#srs.keys();
    const row = {
      ...plainDisk,
      uuid: name,
      name_label: `disk ${name}`,
      SR: sr,
      other_config: { content_id: `content of ${name}` },
    };
    if (!this.#vdis.has(ref(name))) this.#vdis.set(ref(name), { ...row, VBDs: [] });
    Object.assign(this.#vdis.get(ref(name)) ?? {}, fields);
    return this;
  }

  attach(disk: string, vm: string, device: string, fields: Fields = {}): this {
    const vbd = ref(`${vm} at ${device}`);
    const plain = { type: 'Disk', empty: false, mode: 'RW', bootable: device === '0', userdevice: device };
    this.#vbds.set(vbd, { ...plain, ...fields, VM: ref(vm), VDI: disk === '' ? none : ref(disk) });
    for (const row of [this.#rowOf(vm), this.#vdis.get(ref(disk))]) row?.VBDs?.push(vbd);
    return this;
  }

  task(name: string, label: string): this {
    this.#tasks.set(ref(name), { uuid: name, name_label: label });
    return this;
  }

  /** As XAPI does: a new VM with a snapshot of each disk; what is attached read-only is shared. */
  snapshot(vm: string, name: string, label = name): this {
    return this.#copy(vm, name, label, true);
  }

  clone(vm: string, name: string, label = name): this {
    return this.#copy(vm, name, label, false);
  }

  /** Adds keys to the `other_config` of a VM or disk; null takes one away. */
  config(name: string, keys: Readonly<Record<string, string | null>>): this {
    const row = this.#rowOf(name);
    const entries = Object.entries({ ...row.other_config, ...keys });
    row.other_config = Object.fromEntries(
      entries.filter((entry): entry is [string, string] => entry[1] !== null),
    );
    return this;
  }

  set(name: string, fields: Fields): this {
    Object.assign(this.#rowOf(name), fields);
    return this;
  }

  destroyVm(name: string): this {
    this.#vms.delete(ref(name));
    for (const [vbd, { VM }] of this.#vbds) if (VM === ref(name)) this.#vbds.delete(vbd);
    return this;
  }

  destroyDisk(name: string): this {
    this.#vdis.delete(ref(name));
    return this;
  }

  /** The record itself, for functions that take one. */
  record(name: string): World['vms'] extends ReadonlyMap<string, infer T> ? T : never {
    const found = this.world().vms.get(ref(name));
    if (found === undefined) throw new Error(`no VM ${name}`);
    return found;
  }

  srRecord(): World['srs'] extends ReadonlyMap<string, infer T> ? T : never {
    const [found] = this.world().srs.values();
    if (found === undefined) throw new Error('no SR');
    return found;
  }

  world(): World {
    return {
      poolName: 'small',
      poolUuid: 'small-pool',
      vms: this.#vms,
      vdis: this.#vdis,
      vbds: this.#vbds,
      vifs: this.#vifs,
      srs: this.#srs,
      networks: this.#networks,
      tasks: this.#tasks,
    } as unknown as World;
  }

  #copy(vm: string, name: string, label: string, snapshot: boolean): this {
    const original = this.#rowOf(vm);
    const made = snapshot
      ? {
          is_a_snapshot: true,
          is_a_template: true,
          snapshot_of: ref(vm),
          snapshot_time: '20260102T03:04:05Z',
        }
      : { is_a_snapshot: false, snapshot_of: none };
    this.#vms.set(ref(name), {
      ...original,
      uuid: name,
      name_label: label,
      ...made,
      blocked_operations: {},
      VBDs: [],
    });
    for (const vbd of [...this.#vbds.values()].filter((one) => one['VM'] === ref(vm))) {
      const disk = this.#vdis.get(String(vbd['VDI']));
      if (disk === undefined || vbd['mode'] === 'RO' || vbd['type'] === 'CD') {
        this.attach(disk?.uuid ?? '', name, String(vbd['userdevice']), vbd);
        continue;
      }
      const uuid = `${name}.${String(vbd['userdevice'])}`;
      this.#vdis.set(ref(uuid), {
        ...disk,
        uuid,
        is_a_snapshot: snapshot,
        snapshot_of: snapshot ? ref(disk.uuid) : none,
        VBDs: [],
      });
      this.attach(uuid, name, String(vbd['userdevice']), vbd);
    }
    return this;
  }

  #rowOf(name: string): Row {
    const row = this.#vms.get(ref(name)) ?? this.#vdis.get(ref(name));
    if (row === undefined) throw new Error(`no VM or disk ${name}`);
    return row;
  }
}

export function ref(name: string): string {
  return `ref:${name}`;
}

const plainVm: Fields = {
  power_state: 'Halted',
  is_a_snapshot: false,
  is_a_template: false,
  is_control_domain: false,
  snapshot_of: none,
  snapshot_time: '19700101T00:00:00Z',
  blocked_operations: {},
  tags: [],
  VIFs: [],
};

const plainDisk: Fields = {
  is_a_snapshot: false,
  snapshot_of: none,
  virtual_size: 100,
  physical_utilisation: 10,
  sm_config: {},
};
