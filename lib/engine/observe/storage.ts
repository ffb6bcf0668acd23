/** What an SR can do, told from its type: XAPI has no field that says it. */
import type { SrRecord } from '../../xapi';

export interface StorageFacts {
  readonly allocation: 'thin' | 'thick';
  /** New disks are known to read as zeros. */
  readonly zeroedDisks: boolean;
  /** Disks are raw volumes, which can be neither cloned nor exported as a delta. */
  readonly rawDisks: boolean;
}

const thinVhdTypes: ReadonlySet<string> = new Set(['ext', 'nfs', 'smb', 'file', 'xfs', 'ext4']);
const lvmTypes: ReadonlySet<string> = new Set(['lvm', 'lvmoiscsi', 'lvmohba', 'lvmofcoe']);

export function freeBytes(sr: SrRecord): number {
  return Math.max(0, sr.physical_size - sr.physical_utilisation);
}

/**
 * Thin VHD on a file system, thick VHD on LVM (`use_vhd`), or something we know too little about: there we
 * send every zero and count full sizes, which is slower but never wrong.
 */
export function storageFacts(sr: SrRecord): StorageFacts {
  if (thinVhdTypes.has(sr.type)) return { allocation: 'thin', zeroedDisks: true, rawDisks: false };
  if (lvmTypes.has(sr.type)) {
    const vhd = sr.sm_config['use_vhd'] === 'true';
    return { allocation: 'thick', zeroedDisks: vhd, rawDisks: !vhd };
  }
  return { allocation: 'thick', zeroedDisks: false, rawDisks: false };
}
