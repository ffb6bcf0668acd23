/** A protected VM that people change between two runs, with the calls that they or their tools make. */
import { keepLatest } from '../../lib/planner/job';
import type { JobDefinition } from '../../lib/planner/job';
import type { VmOutcome } from '../../lib/engine';
import type { SimulatorSpec } from '../../lib/simulator';
import { Admin } from '../faults/admin';
import type { Json } from '../faults/admin';
import { defaultSpec, Site } from './site';
import type { RunOutcome } from './site';

const mib = 1024 ** 2;

function spec(): SimulatorSpec {
  const [source, target] = defaultSpec.pools;
  if (source === undefined || target === undefined) throw new Error('two pools expected');
  const disk = (device: number, name: string): object => ({
    device,
    name,
    sizeBytes: 8 * mib,
    sr: 'source-sr',
  });
  const srs = [
    ...source.srs,
    { name: 'source-nas', type: 'nfs', sizeBytes: 4096 * mib },
    { name: 'source-lvm', type: 'lvm', sizeBytes: 4096 * mib },
  ];
  const vms = [
    { name: 'db1', tags: ['protect'], disks: [disk(0, 'root'), disk(1, 'data')], vifs: [] },
    { name: 'web1', tags: [], disks: [disk(0, 'web root')], vifs: [] },
  ];
  const second = { name: 'second-sr', type: 'ext', sizeBytes: 4096 * mib };
  const pools = [
    { ...source, srs, vms },
    { ...target, srs: [...target.srs, second] },
  ];
  return { ...defaultSpec, pools } as SimulatorSpec;
}

/** Two pools, a job over `db1`, and one good run of it. */
export class ChangedVm implements AsyncDisposable {
  private constructor(
    readonly site: Site,
    readonly admin: Admin,
    readonly job: JobDefinition,
    /** Ref on the source pool. */
    readonly vm: string,
  ) {}

  static async start(): Promise<ChangedVm> {
    const site = await Site.start(spec());
    const admin = new Admin(site.source);
    const vm = await admin.ref('VM', await site.source.control.vmUuid('db1'));
    const job = await site.job({ retention: keepLatest(3) });
    const changed = new ChangedVm(site, admin, job, vm);
    await changed.write('0', 0, 0x11);
    await changed.write('1', 1, 0x22);
    return changed;
  }

  /** A run that must make a recovery point. */
  async replicate(changes: Partial<JobDefinition> = {}): Promise<RunOutcome> {
    const outcome = await this.site.run({ ...this.job, ...changes });
    if (!outcome.report.ok) throw new Error(`not replicated: ${JSON.stringify(outcome.report.vms)}`);
    return outcome;
  }

  /** Writes 4 KiB into a block of a disk of the VM. */
  async write(device: string, block: number, fill: number): Promise<void> {
    const disk = await this.diskAt(device);
    await this.site.source.control.writeDisk(disk, block * 2 * mib, Buffer.alloc(4096, fill));
  }

  /** Uuid of the VM's disk at a position. */
  diskAt(device: string): Promise<string> {
    return this.admin
      .text('VM.get_uuid', this.vm)
      .then((uuid) => this.site.source.control.diskOf(uuid, Number(device)));
  }

  async diskRef(device: string): Promise<string> {
    return this.admin.ref('VDI', await this.diskAt(device));
  }

  async srRef(name: string): Promise<string> {
    const [ref] = (await this.admin.call('SR.get_by_name_label', name)) as readonly string[];
    return ref ?? '';
  }

  /** A raw volume, as LVM can hold them. */
  async addRaw(device: string, name: string): Promise<void> {
    await this.add(device, name, { SR: await this.srRef('source-lvm'), sm_config: { type: 'raw' } });
  }

  /** Makes a disk, attaches it, and writes to it. */
  async add(device: string, name: string, changes: Readonly<Record<string, Json>> = {}): Promise<void> {
    const vdi = await this.admin.text('VDI.create', {
      name_label: name,
      name_description: '',
      SR: await this.srRef('source-sr'),
      virtual_size: 4 * mib,
      type: 'user',
      sharable: false,
      read_only: false,
      other_config: {},
      xenstore_data: {},
      sm_config: {},
      tags: [],
      ...changes,
    });
    await this.attach(device, vdi);
    await this.write(device, 1, 0x33);
  }

  async attach(device: string, vdi: string, type = 'Disk'): Promise<void> {
    await this.admin.call('VBD.create', {
      VM: this.vm,
      VDI: vdi,
      userdevice: device,
      bootable: false,
      mode: type === 'CD' ? 'RO' : 'RW',
      type,
      unpluggable: true,
      empty: type === 'CD',
      other_config: {},
      qos_algorithm_type: '',
      qos_algorithm_params: {},
    });
  }

  /** Takes a disk off the VM; it is destroyed unless somebody still wants it. */
  async detach(device: string, keep = false): Promise<string> {
    const vdi = await this.diskRef(device);
    for (const vbd of (await this.admin.call('VM.get_VBDs', this.vm)) as readonly string[]) {
      if ((await this.admin.text('VBD.get_VDI', vbd)) === vdi) await this.admin.call('VBD.destroy', vbd);
    }
    if (!keep) await this.admin.call('VDI.destroy', vdi);
    return vdi;
  }

  /** As storage migration does: the same content under another uuid on the other SR. */
  async move(device: string, srName: string): Promise<void> {
    const vdi = await this.detach(device, true);
    const none = 'OpaqueRef:NULL';
    const moved = await this.admin.text('VDI.copy', vdi, await this.srRef(srName), none, none);
    await this.admin.call('VDI.destroy', vdi);
    await this.attach(device, moved);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.admin.leave();
    await this.site[Symbol.asyncDispose]();
  }
}

export function outcomeOf({ report }: RunOutcome): VmOutcome {
  const [vm] = report.vms;
  if (vm === undefined) throw new Error('the run had no VM');
  return vm.outcome;
}

/** `0 delta, 1 full` */
export function copiesOf({ report }: RunOutcome): string {
  return (report.vms[0]?.disks ?? []).map(({ device, copyKind }) => `${device} ${copyKind}`).join(', ');
}
