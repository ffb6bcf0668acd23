/** Reads one VM with its disks again, right after something made or changed it. */
import { isNullRef } from '../../xapi';
import type { CallOptions, Pool, Ref, VbdRecord, VdiRecord, VmRecord } from '../../xapi';
import { StalePlan } from '../errors';

export interface FreshDisk {
  readonly device: string;
  readonly bootable: boolean;
  readonly vbdRef: string;
  readonly ref: string;
  readonly record: VdiRecord;
}

export interface FreshVm {
  readonly ref: string;
  readonly record: VmRecord;
  /** Non-CD devices with a disk in them. */
  readonly disks: readonly FreshDisk[];
}

type Vdis = ReadonlyMap<Ref<'VDI'>, VdiRecord>;
type Vbds = ReadonlyMap<Ref<'VBD'>, VbdRecord>;

/** Three calls, however many disks there are. */
export async function readVm(pool: Pool, ref: string, options: CallOptions = {}): Promise<FreshVm> {
  const record = await pool.call('VM.get_record', [ref as Ref<'VM'>], options);
  const { VBD } = await pool.read({ VBD: record.VBDs }, options);
  const { VDI } = await pool.read({ VDI: withDisk(VBD).map((vbd) => vbd.VDI) }, options);
  return join(ref, record, VBD, VDI);
}

/**
 * A snapshot VM, right after it was taken of a VM with these disks: two calls, since each live disk names its snapshots.
 *
 * @throws StalePlan where it is gone already
 */
export async function readSnapshot(
  pool: Pool,
  ref: Ref<'VM'>,
  liveDisks: readonly Ref<'VDI'>[],
): Promise<FreshVm> {
  const first = await pool.read({ VM: [ref], VDI: liveDisks });
  const record = first.VM.get(ref);
  if (record === undefined) throw new StalePlan(`Snapshot ${ref} on pool "${pool.name}" is gone`);
  const candidates = [...first.VDI.values()].flatMap(({ snapshots }) => snapshots);
  const { VBD, VDI } = await pool.read({ VBD: record.VBDs, VDI: candidates });
  // Disks that the snapshot shares with the VM, or that were attached since the VM was looked at.
  const missing = withDisk(VBD).flatMap((vbd) => (VDI.has(vbd.VDI) ? [] : [vbd.VDI]));
  const others = await pool.read({ VDI: missing });
  return join(ref, record, VBD, new Map([...VDI, ...others.VDI]));
}

function withDisk(vbds: Vbds): readonly VbdRecord[] {
  return [...vbds.values()].filter(({ type, empty, VDI }) => type === 'Disk' && !empty && !isNullRef(VDI));
}

function join(ref: string, record: VmRecord, vbds: Vbds, vdis: Vdis): FreshVm {
  const disks = record.VBDs.flatMap((vbdRef): FreshDisk[] => {
    const vbd = vbds.get(vbdRef);
    if (vbd === undefined) throw changed(record);
    if (vbd.type !== 'Disk' || vbd.empty || isNullRef(vbd.VDI)) return [];
    const vdi = vdis.get(vbd.VDI);
    if (vdi === undefined) throw changed(record);
    return [{ device: vbd.userdevice, bootable: vbd.bootable, vbdRef, ref: vbd.VDI, record: vdi }];
  });
  return { ref, record, disks };
}

function changed({ name_label: name, uuid }: VmRecord): StalePlan {
  return new StalePlan(`A disk was detached from VM "${name}" (${uuid}) while it was read`);
}
