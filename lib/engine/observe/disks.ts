/** A VM's disks and cards as the planner sees them. */
import { isNullRef } from '../../xapi';
import type { VdiRecord, VmRecord } from '../../xapi';
import type { ChainLayer, ObjectId, ObservedCard, ObservedDisk } from '../../planner/observation';
import { chainOf } from './chains';
import { byUuid } from './world';
import type { World } from './world';

export function vmId(ref: string, vm: VmRecord): ObjectId {
  return { ref, uuid: vm.uuid, name: vm.name_label };
}

export function vdiId(ref: string, vdi: VdiRecord): ObjectId {
  return { ref, uuid: vdi.uuid, name: vdi.name_label };
}

/** Non-CD block devices with a disk in them, by device position. */
export function disksOf(world: World, vm: VmRecord): readonly ObservedDisk[] {
  return vm.VBDs.flatMap((vbdRef) => {
    const vbd = world.vbds.get(vbdRef);
    if (vbd?.type !== 'Disk' || vbd.empty || isNullRef(vbd.VDI)) return [];
    const vdi = world.vdis.get(vbd.VDI);
    return vdi === undefined ? [] : [toDisk(world, vbd.userdevice, vbd.bootable, vbd.VDI, vdi)];
  }).sort((a, b) => Number(a.device) - Number(b.device));
}

/** A disk that no VM has any more, as it was at a device. */
export function looseDisk(world: World, device: string, uuid: string): ObservedDisk | null {
  const found = byUuid(world.vdis, uuid);
  return found === null ? null : toDisk(world, device, false, found.ref, found.record);
}

function toDisk(world: World, device: string, bootable: boolean, ref: string, vdi: VdiRecord): ObservedDisk {
  const sr = world.srs.get(vdi.SR);
  const chain = chainOf(world, vdi);
  return {
    device,
    vdi: vdiId(ref, vdi),
    sizeBytes: vdi.virtual_size,
    bootable,
    isSnapshot: vdi.is_a_snapshot,
    snapshotOf: isNullRef(vdi.snapshot_of) ? null : (world.vdis.get(vdi.snapshot_of)?.uuid ?? null),
    contentId: vdi.other_config['content_id'] ?? null,
    contentKey: vdi.other_config['xo:backup:contentKey'] ?? null,
    sr: { ref: vdi.SR, uuid: sr?.uuid ?? '', name: sr?.name_label ?? 'an SR that is gone' },
    raw: isNoVhd(vdi),
    tracking: vdi.type === 'cbt_metadata' ? 'only' : vdi.cbt_enabled === true ? 'on' : 'off',
    allocatedBytes: allocatedBytes(vdi, chain),
    chain,
  };
}

/** The storage layer says `aio` of a raw file or volume; newer releases also know qcow2 images. */
function isNoVhd({ sm_config: config }: VdiRecord): boolean {
  return config['type'] === 'raw' || config['vdi_type'] === 'aio' || config['image-format'] === 'qcow2';
}

/** Physical bytes of all layers, at most the virtual size. */
function allocatedBytes(vdi: VdiRecord, chain: readonly ChainLayer[]): number {
  const total = chain.reduce((sum, { physicalBytes }) => sum + physicalBytes, 0);
  // Not known yet (0 until the SR was scanned): count the worst case rather than nothing.
  return total === 0 ? vdi.virtual_size : Math.min(total, vdi.virtual_size);
}

/** Physical bytes of these disks alone, without what they share with others: free again once they are gone. */
export function ownBytes(world: World, disks: readonly ObjectId[]): number {
  return disks.reduce((sum, { ref }) => sum + (world.vdis.get(ref)?.physical_utilisation ?? 0), 0);
}

export function cardsOf(world: World, vm: VmRecord): readonly ObservedCard[] {
  return vm.VIFs.flatMap((vifRef) => {
    const vif = world.vifs.get(vifRef);
    if (vif === undefined) return [];
    const network = world.networks.get(vif.network);
    return [
      {
        device: vif.device,
        network: {
          ref: vif.network,
          uuid: network?.uuid ?? '',
          name: network?.name_label ?? 'a network that is gone',
        },
        mac: vif.MAC,
        mtu: vif.MTU,
      },
    ];
  }).sort((a, b) => Number(a.device) - Number(b.device));
}
