/** Both pools as they are, read through the simulator's own eyes and by no code under test. */
import type { SimulatedPool } from '../../lib/simulator';

type Fields = Readonly<Record<string, unknown>>;
type Table = Readonly<Record<string, Fields>>;
type Map_ = Readonly<Record<string, string>>;

export interface ViewedDisk {
  readonly device: string;
  readonly uuid: string;
}

export interface ViewedVm {
  readonly ref: string;
  readonly uuid: string;
  readonly name: string;
  readonly isSnapshot: boolean;
  readonly snapshotOf: string;
  readonly isControlDomain: boolean;
  readonly isTemplate: boolean;
  readonly config: Map_;
  readonly disks: readonly ViewedDisk[];
}

/** A commit as it stands on an object; whether it counts is for the reader to say. */
export interface ViewedCommit {
  readonly vm: ViewedVm;
  readonly sourceSnapshot: string;
  readonly disks: readonly { readonly device: string; readonly vdi: string; readonly sourceVdi: string }[];
}

export class View {
  readonly vms: readonly ViewedVm[];
  /** Uuids of all disks that are managed. */
  readonly disks: ReadonlySet<string>;
  readonly poolConfig: Map_;

  private constructor(vms: readonly ViewedVm[], disks: ReadonlySet<string>, poolConfig: Map_) {
    this.vms = vms;
    this.disks = disks;
    this.poolConfig = poolConfig;
  }

  static async of(pool: SimulatedPool): Promise<View> {
    const tables = await pool.control.inventory();
    const [vms, vbds, vdis] = [tables['VM'] ?? {}, tables['VBD'] ?? {}, tables['VDI'] ?? {}];
    const managed = Object.values(vdis).filter((vdi) => vdi['managed'] === true);
    const [poolRecord] = Object.values(tables['pool'] ?? {});
    return new View(
      Object.entries(vms).map(([ref, vm]) => viewed(ref, vm, vbds, vdis)),
      new Set(managed.map((vdi) => String(vdi['uuid']))),
      (poolRecord?.['other_config'] ?? {}) as Map_,
    );
  }

  vm(uuid: string): ViewedVm {
    const found = this.vms.find((vm) => vm.uuid === uuid);
    if (found === undefined) throw new Error(`there is no VM ${uuid}`);
    return found;
  }

  /** VMs that people see: neither snapshots nor control domains nor templates. */
  get guests(): readonly ViewedVm[] {
    return this.vms.filter((vm) => !vm.isSnapshot && !vm.isControlDomain && !vm.isTemplate);
  }

  /**
   * Commits on the recovery points that they name; newest last, and those of VMs that are no replica (any more) before all
   * others: a pool's clock tells seconds, so points of two VMs may be of the same moment.
   */
  get commits(): readonly ViewedCommit[] {
    const replicas = new Set(
      this.vms.filter(({ config }) => config['xenrepl:replica'] !== undefined).map(({ ref }) => ref),
    );
    const rank = ({ vm }: ViewedCommit): number => (replicas.has(vm.snapshotOf) ? 1 : 0);
    return this.vms
      .flatMap((vm) => {
        const value = vm.config['xenrepl:commit'];
        if (value === undefined) return [];
        const commit = readable(value);
        return commit?.self === vm.uuid ? [{ ...commit, vm }] : [];
      })
      .sort((a, b) => rank(a) - rank(b) || a.committedAtMs - b.committedAtMs);
  }
}

type Commit = Omit<ViewedCommit, 'vm'> & { readonly self: string; readonly committedAtMs: number };

function readable(value: string): Commit | null {
  try {
    return JSON.parse(value) as Commit;
  } catch {
    return null;
  }
}

function viewed(ref: string, vm: Fields, vbds: Table, vdis: Table): ViewedVm {
  const disks = Object.values(vbds)
    .filter((vbd) => vbd['VM'] === ref && vbd['type'] === 'Disk')
    .map((vbd) => ({
      device: String(vbd['userdevice']),
      uuid: textOf(vdis[String(vbd['VDI'])]?.['uuid']),
    }));
  return {
    ref,
    uuid: String(vm['uuid']),
    name: String(vm['name_label']),
    isSnapshot: vm['is_a_snapshot'] === true,
    snapshotOf: String(vm['snapshot_of']),
    isControlDomain: vm['is_control_domain'] === true,
    isTemplate: vm['is_a_template'] === true,
    config: vm['other_config'] as Map_,
    disks: disks.sort((a, b) => Number(a.device) - Number(b.device)),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
