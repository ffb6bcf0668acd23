/** The files or volumes that a disk is made of: itself and the hidden parents it builds upon. */
import type { VdiRecord } from '../../xapi';
import type { ChainLayer } from '../../planner/observation';
import type { World } from './world';

/** A chain is at most 30 deep (XAPI's limit); a longer walk means that the records contradict each other. */
const layersMax = 64;

interface Family {
  readonly byUuid: ReadonlyMap<string, VdiRecord>;
  /** By the parent's uuid. */
  readonly children: ReadonlyMap<string, readonly VdiRecord[]>;
}

/** Read once per table of disks: a pool has thousands, and each of them would be searched for at every layer. */
const families = new WeakMap<World['vdis'], Family>();

export function chainOf(world: World, vdi: VdiRecord): readonly ChainLayer[] {
  const family = familyOf(world);
  const layers: ChainLayer[] = [];
  let next: VdiRecord | undefined = vdi;
  while (next !== undefined && layers.length < layersMax) {
    layers.push({
      uuid: next.uuid,
      physicalBytes: next.physical_utilisation,
      mergePending: isMergePending(family, next),
    });
    const parent = parentOf(next);
    next = parent === undefined ? undefined : family.byUuid.get(parent);
  }
  return layers;
}

/**
 * A hidden parent whose one child is hidden as well holds nothing that anybody could want by itself. (Of one under a
 * visible disk nothing is said: storage merges those too, but only while it may stop the disk for a moment.)
 */
function isMergePending({ children }: Family, { uuid, managed }: VdiRecord): boolean {
  const [only, ...others] = children.get(uuid) ?? [];
  return !managed && only !== undefined && others.length === 0 && !only.managed;
}

function familyOf({ vdis }: World): Family {
  const known = families.get(vdis);
  if (known !== undefined) return known;
  const byUuid = new Map<string, VdiRecord>();
  const children = new Map<string, VdiRecord[]>();
  for (const vdi of vdis.values()) {
    byUuid.set(vdi.uuid, vdi);
    const parent = parentOf(vdi);
    if (parent === undefined) continue;
    const siblings = children.get(parent) ?? [];
    children.set(parent, siblings);
    siblings.push(vdi);
  }
  const family = { byUuid, children };
  families.set(vdis, family);
  return family;
}

function parentOf({ sm_config: config }: VdiRecord): string | undefined {
  return config['vhd-parent'];
}
