/** Reads one VM with its disks again, right after something made or changed it. */
import { isNullRef } from '../../xapi';
import type { CallOptions, Pool, Ref, VdiRecord, VmRecord } from '../../xapi';

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

export async function readVm(pool: Pool, ref: string, options: CallOptions = {}): Promise<FreshVm> {
  const record = await pool.call('VM.get_record', [ref as Ref<'VM'>], options);
  const disks = await Promise.all(
    record.VBDs.map(async (vbdRef): Promise<FreshDisk | null> => {
      const vbd = await pool.call('VBD.get_record', [vbdRef], options);
      if (vbd.type !== 'Disk' || vbd.empty || isNullRef(vbd.VDI)) return null;
      const vdi = await pool.call('VDI.get_record', [vbd.VDI], options);
      return { device: vbd.userdevice, bootable: vbd.bootable, vbdRef, ref: vbd.VDI, record: vdi };
    }),
  );
  return { ref, record, disks: disks.filter((disk) => disk !== null) };
}
