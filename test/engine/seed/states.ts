/** What stands on the objects of both pools, for comparing before with after. */
import type { Site } from '../site';

type Config = Readonly<Record<string, string>>;
type Records = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export interface Configs {
  readonly config: Config;
  /** By device. */
  readonly disks: ReadonlyMap<string, Config>;
  /** Names of Xen Orchestra's keys, sorted. */
  readonly xoKeys: readonly string[];
  readonly diskXoKeys: readonly (readonly string[])[];
}

/** Keys of a VM or snapshot and of its disks; null where it is gone. */
export async function configsOf(
  site: Site,
  side: 'source' | 'target',
  vmUuid: string,
): Promise<Configs | null> {
  const { VM = {}, VBD = {}, VDI = {} } = (await site[side].control.inventory()) as Record<string, Records>;
  const found = Object.entries(VM).find(([, vm]) => vm['uuid'] === vmUuid);
  if (found === undefined) return null;
  const [ref, vm] = found;
  const disks = new Map(
    Object.values(VBD)
      .filter((vbd) => vbd['VM'] === ref && vbd['type'] === 'Disk')
      .map((vbd) => [String(vbd['userdevice']), VDI[String(vbd['VDI'])]?.['other_config'] as Config] as const)
      .sort(([one], [other]) => Number(one) - Number(other)),
  );
  const config = vm['other_config'] as Config;
  return { config, disks, xoKeys: xoKeys(config), diskXoKeys: [...disks.values()].map(xoKeys) };
}

function xoKeys(config: Config): readonly string[] {
  return Object.keys(config)
    .filter((key) => key.startsWith('xo:'))
    .sort();
}

/** Everything that attaching may change, of all VMs and disks of both pools; equal before and after where it was undone. */
export async function leftUnchanged(site: Site): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const side of ['source', 'target'] as const) {
    const { VM = {}, VDI = {} } = (await site[side].control.inventory()) as Record<string, Records>;
    for (const vm of Object.values(VM)) {
      const { uuid, name_label: name, other_config, blocked_operations, tags } = vm;
      const { is_a_template, ha_restart_priority } = vm;
      lines.push(
        `${side} VM ${text({ uuid, name, other_config, blocked_operations, tags, is_a_template, ha_restart_priority })}`,
      );
    }
    for (const vdi of Object.values(VDI)) {
      if (vdi['managed'] !== true) continue;
      // Given by the storage layer whenever a disk is attached, if only for reading.
      const config = Object.entries(vdi['other_config'] as Config).filter(([key]) => key !== 'content_id');
      lines.push(`${side} VDI ${text({ uuid: vdi['uuid'], config: Object.fromEntries(config) })}`);
    }
  }
  return lines.sort();
}

function text(value: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([one], [other]) => one.localeCompare(other)))
      : member,
  );
}
