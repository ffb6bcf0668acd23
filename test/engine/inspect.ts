/** Looks at both pools from outside, through the simulator's own eyes: digests, leftovers, locks. */
import type { RunReport } from '../../lib/engine';
import type { Site } from './site';

type Records = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

interface Inventory {
  readonly VM: Records;
  readonly VDI: Records;
  readonly VBD: Records;
  readonly task: Records;
  readonly pool: Records;
}

async function inventory(site: Site, side: 'source' | 'target'): Promise<Inventory> {
  return (await site[side].control.inventory()) as unknown as Inventory;
}

/** Digest of each disk of the newest recovery point and of its source snapshot, by device. */
export async function compareNewest(
  site: Site,
  report: RunReport,
): Promise<readonly { readonly device: string; readonly source: string; readonly target: string }[]> {
  const compared = [];
  for (const { outcome } of report.vms) {
    if (outcome.kind !== 'replicated') throw new Error(`not replicated: ${JSON.stringify(outcome)}`);
    const sourceDisks = await disksOf(site, 'source', outcome.sourceSnapshot.uuid);
    const targetDisks = await disksOf(site, 'target', outcome.point.uuid);
    for (const [device, vdi] of sourceDisks) {
      compared.push({
        device,
        source: (await site.source.control.digestDisk(vdi)).sha256,
        target: (await site.target.control.digestDisk(targetDisks.get(device) ?? 'none')).sha256,
      });
    }
  }
  return compared;
}

/** Disk uuids of a VM by device, CDs left out. */
export async function disksOf(
  site: Site,
  side: 'source' | 'target',
  vmUuid: string,
): Promise<Map<string, string>> {
  const { VM, VBD, VDI } = await inventory(site, side);
  const vmRef = Object.keys(VM).find((ref) => VM[ref]?.['uuid'] === vmUuid);
  const disks = Object.values(VBD).filter((vbd) => vbd['VM'] === vmRef && vbd['type'] === 'Disk');
  return new Map(disks.map((vbd) => [String(vbd['userdevice']), String(VDI[String(vbd['VDI'])]?.['uuid'])]));
}

/**
 * What no run may leave behind: VMs under a temporary name or with a mark of unfinished work, managed disks that
 * no VM uses, disks attached to a control domain, tasks, locks that are not released, announced swaps.
 */
export async function leftovers(site: Site): Promise<readonly string[]> {
  const found: string[] = [];
  for (const side of ['source', 'target'] as const) {
    const { VM, VDI, VBD, task, pool } = await inventory(site, side);
    for (const vm of Object.values(VM)) {
      const config = vm['other_config'] as Readonly<Record<string, string>>;
      if (String(vm['name_label']).startsWith('[xenrepl'))
        found.push(`${side}: VM ${String(vm['name_label'])}`);
      for (const key of ['xenrepl:run', 'xenrepl:swap']) {
        const value = config[key];
        if (value?.includes(String(vm['uuid'])) === true)
          found.push(`${side}: ${key} on ${String(vm['name_label'])}`);
      }
      const blocked = Object.values(vm['blocked_operations'] as Readonly<Record<string, string>>);
      if (blocked.some((text) => text.startsWith('Disks are being exchanged'))) {
        found.push(`${side}: operations held off on ${String(vm['name_label'])}`);
      }
    }
    for (const [ref, vdi] of Object.entries(VDI)) {
      if (vdi['managed'] !== true) continue;
      const users = Object.values(VBD).filter((vbd) => vbd['VDI'] === ref);
      if (users.length === 0)
        found.push(`${side}: disk ${String(vdi['name_label'])} (${String(vdi['uuid'])}) unused`);
      for (const vbd of users) {
        if (VM[String(vbd['VM'])]?.['is_control_domain'] === true) {
          found.push(`${side}: disk ${String(vdi['uuid'])} attached to a control domain`);
        }
      }
    }
    for (const record of Object.values(task)) found.push(`${side}: task ${String(record['name_label'])}`);
    found.push(...heldLocks(side, pool));
  }
  return found;
}

function heldLocks(side: string, pool: Records): readonly string[] {
  return Object.values(pool).flatMap((record) => {
    const config = record['other_config'] as Readonly<Record<string, string>>;
    return Object.keys(config)
      .filter((key) => /^xenrepl:lock:[^:]+:[^:]+:\d+$/.test(key) && config[`${key}:released`] === undefined)
      .map((key) => `${side}: ${key}`);
  });
}
