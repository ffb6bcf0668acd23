/**
 * Rebuilds a recorded state in the simulator through its API: real VMs, snapshots and disks, with the recorded names,
 * keys and blocks; uuids in keys are those of the rebuilt objects. The dumps have no contents, but they say which
 * blocks of a copy differ from its source; so the contents here are made up, and differ in those very blocks.
 */
import { parseXapiDate } from '../../../lib/xapi';
import type { Pool, Ref } from '../../../lib/xapi';
import type { PoolControl, SimulatorSpec } from '../../../lib/simulator';
import { defaultSpec, Site } from '../site';
import { makeDisk, vmRecord } from '../seed/carried';
import type { Differences, RecordedPool, RecordedState, RecordedVm } from './recorded';

const mib = 1024 ** 2;
const blockBytes = 2 * mib;

const emptyPools: SimulatorSpec = {
  ...defaultSpec,
  pools: defaultSpec.pools.map((pool) => ({ ...pool, vms: [] })),
};

/** Blocks that hold data, by device. */
const allocated: Readonly<Record<string, readonly number[]>> = {
  '0': [0, 3, 5, 9, 17, 31],
  '1': [2, 10, 11, 12, 40, 41, 42, 63, 90, 100, 101, 102, 120, 127],
};

export interface Loaded extends AsyncDisposable {
  readonly site: Site;
  /** Uuid of the source VM. */
  readonly vm: string;
}

export async function load(state: RecordedState): Promise<Loaded> {
  const site = await Site.start(emptyPools);
  const uuids = new Map<string, string>();
  const source = new Side(
    await site.connect('source'),
    site.source.control,
    state.source,
    'source-sr',
    uuids,
  );
  const target = new Side(
    await site.connect('target'),
    site.target.control,
    state.target,
    'target-sr',
    uuids,
  );
  await source.build(() => ({}));
  const check = state.observed?.content_check;
  await target.build(({ uuid, is_a_snapshot: isPoint }) =>
    isPoint
      ? (check?.newest_replica_snapshot ?? {})
      : (check?.replicas?.find(({ vm }) => vm === uuid)?.diff ?? check?.newest_replica_snapshot ?? {}),
  );
  await source.applyKeys();
  await target.applyKeys();
  const live = Object.values(state.source.VM).find((vm) => !vm.is_a_snapshot);
  const uuidOf = (recorded: string): string => uuids.get(recorded) ?? recorded;
  return { site, vm: uuidOf(live?.uuid ?? ''), [Symbol.asyncDispose]: () => site[Symbol.asyncDispose]() };
}

class Side {
  readonly #made = new Map<string, { readonly kind: 'VM' | 'VDI'; readonly ref: string }>();

  constructor(
    private readonly pool: Pool,
    private readonly control: PoolControl,
    private readonly recordedPool: RecordedPool,
    private readonly srName: string,
    private readonly uuids: Map<string, string>,
  ) {}

  async build(differencesOf: (vm: RecordedVm) => Differences): Promise<void> {
    const [sr] = await this.pool.call('SR.get_by_name_label', [this.srName]);
    if (sr === undefined) throw new Error(`no SR ${this.srName}`);
    for (const { uuid } of Object.values(this.recordedPool.SR)) {
      this.uuids.set(uuid, await this.pool.call('SR.get_uuid', [sr]));
    }
    for (const [ref, vm] of Object.entries(this.recordedPool.VM)) {
      if (!vm.is_a_snapshot) await this.#buildVm(ref, vm, sr, differencesOf);
    }
  }

  /** The VM as it was when each of its snapshots was taken, one after the other, and as it is now. */
  async #buildVm(
    recordedRef: string,
    vm: RecordedVm,
    sr: Ref<'SR'>,
    differencesOf: (vm: RecordedVm) => Differences,
  ): Promise<void> {
    const ref = await this.pool.call('VM.create', [
      vmRecord({ name_label: 'made', memory_static_max: 2 ** 28 }, {}),
    ]);
    const disks = new Map<string, string>();
    for (const [device, vdi] of this.#disks(vm)) {
      disks.set(device, await makeDisk(this.pool, sr, ref, device, Number(vdi.virtual_size)));
    }
    const snapshots = Object.values(this.recordedPool.VM)
      .filter(({ snapshot_of: of, is_a_snapshot: isSnapshot }) => isSnapshot && of === recordedRef)
      .sort((a, b) => parseXapiDate(a.snapshot_time) - parseXapiDate(b.snapshot_time));
    for (const [index, snapshot] of snapshots.entries()) {
      const newest = index === snapshots.length - 1;
      await this.#fill(disks, newest ? differencesOf(snapshot) : everyBlock);
      const made = await this.pool.callTask('VM.snapshot', [ref, 'made']);
      await this.control.advanceClock(10_000);
      await this.pool.call('VM.set_is_a_template', [made, false]);
      await this.#register(snapshot, made);
    }
    // Recorded only where it differs from the newest snapshot; another write would show as one by somebody else.
    const [last] = snapshots.slice(-1);
    const now = differencesOf(vm);
    if (last === undefined || JSON.stringify(now) !== JSON.stringify(differencesOf(last)))
      await this.#fill(disks, now);
    await this.#register(vm, ref);
  }

  async #fill(disks: ReadonlyMap<string, string>, differences: Differences): Promise<void> {
    for (const [device, vdi] of disks) {
      const differing = differences[device]?.differing_2MiB_blocks ?? [];
      for (const block of allocated[device] ?? []) {
        const fill = differing.includes(block) ? 0xee : block + 1;
        await this.control.writeDisk(vdi, block * blockBytes, Buffer.alloc(4096, fill));
      }
    }
  }

  async #register(recordedVm: RecordedVm, ref: Ref<'VM'>): Promise<void> {
    const record = await this.pool.call('VM.get_record', [ref]);
    this.uuids.set(recordedVm.uuid, record.uuid);
    this.#made.set(recordedVm.uuid, { kind: 'VM', ref });
    const wanted = this.#disks(recordedVm);
    for (const vbdRef of record.VBDs) {
      const vbd = await this.pool.call('VBD.get_record', [vbdRef]);
      const vdi = wanted.get(vbd.userdevice);
      if (vdi === undefined) continue;
      this.uuids.set(vdi.uuid, await this.pool.call('VDI.get_uuid', [vbd.VDI]));
      this.#made.set(vdi.uuid, { kind: 'VDI', ref: vbd.VDI });
    }
  }

  #disks(vm: RecordedVm): ReadonlyMap<string, RecordedPool['VDI'][string]> {
    const { VBD, VDI } = this.recordedPool;
    return new Map(
      vm.VBDs.flatMap((ref) => {
        const vbd = VBD[ref];
        const vdi = vbd === undefined ? undefined : VDI[vbd.VDI];
        return vbd?.type === 'Disk' && vdi !== undefined ? [[vbd.userdevice, vdi] as const] : [];
      }),
    );
  }

  /** Names, keys, tags and blocks, once all uuids are known. */
  async applyKeys(): Promise<void> {
    const { VM, VDI } = this.recordedPool;
    for (const vm of Object.values(VM)) {
      const ref = this.#made.get(vm.uuid)?.ref as Ref<'VM'> | undefined;
      if (ref === undefined) continue;
      const present = await this.pool.call('VM.get_other_config', [ref]);
      await this.pool.call('VM.set_other_config', [
        ref,
        { ...present, ...this.#translated(vm.other_config) },
      ]);
      await this.pool.call('VM.set_name_label', [ref, vm.name_label]);
      await this.pool.call('VM.set_tags', [ref, vm.tags]);
      for (const [operation, text] of Object.entries(vm.blocked_operations)) {
        await this.pool.call('VM.add_to_blocked_operations', [ref, operation, text]);
      }
    }
    for (const vdi of Object.values(VDI)) {
      const ref = this.#made.get(vdi.uuid)?.ref as Ref<'VDI'> | undefined;
      if (ref === undefined) continue;
      const present = await this.pool.call('VDI.get_other_config', [ref]);
      await this.pool.call('VDI.set_other_config', [
        ref,
        { ...present, ...this.#translated(vdi.other_config) },
      ]);
      await this.pool.call('VDI.set_name_label', [ref, vdi.name_label]);
    }
  }

  /** The storage's own content id is the simulator's to give. */
  #translated(config: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    return Object.fromEntries(
      Object.entries(config)
        .filter(([key]) => key !== 'content_id' && key !== 'mac_seed')
        .map(([key, value]) => [key, this.uuids.get(value) ?? value]),
    );
  }
}

const everyBlock: Differences = Object.fromEntries(
  Object.entries(allocated).map(([device, differing_2MiB_blocks]) => [device, { differing_2MiB_blocks }]),
);
