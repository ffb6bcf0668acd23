/** One pool as it was at one moment: the records an observation needs. */
import type {
  CallOptions,
  NetworkRecord,
  ObjectsRead,
  Pool,
  SrRecord,
  TaskRecord,
  VbdRecord,
  VdiRecord,
  VifRecord,
  VmRecord,
} from '../../xapi';

/** Records by reference. Keys are plain strings here: planner data carries refs as text. */
export type Table<T> = ReadonlyMap<string, T>;

export interface World {
  readonly poolName: string;
  readonly poolUuid: string;
  readonly vms: Table<VmRecord>;
  readonly vdis: Table<VdiRecord>;
  readonly vbds: Table<VbdRecord>;
  readonly vifs: Table<VifRecord>;
  readonly srs: Table<SrRecord>;
  readonly networks: Table<NetworkRecord>;
  readonly tasks: Table<TaskRecord>;
}

export const worldClasses = ['VM', 'VDI', 'VBD', 'VIF', 'SR', 'network', 'task'] as const;

export type ObjectsOfWorld = Pick<ObjectsRead, (typeof worldClasses)[number]>;

/** Reads everything an attempt decides upon, in one call: all of it is of the same moment. */
export async function readWorld(pool: Pool, options: CallOptions = {}): Promise<World> {
  const all = Object.fromEntries(worldClasses.map((name) => [name, 'all'] as const));
  return toWorld(pool, await pool.read(all, options));
}

export function toWorld(
  pool: { readonly name: string; readonly uuid: string },
  objects: ObjectsOfWorld,
): World {
  return {
    poolName: pool.name,
    poolUuid: pool.uuid,
    vms: objects.VM,
    vdis: objects.VDI,
    vbds: objects.VBD,
    vifs: objects.VIF,
    srs: objects.SR,
    networks: objects.network,
    tasks: objects.task,
  };
}

/** The entry with this uuid, in whatever case the user wrote it. */
export function byUuid<T extends { readonly uuid: string }>(
  records: Table<T>,
  uuid: string,
): { readonly ref: string; readonly record: T } | null {
  const wanted = uuid.toLowerCase();
  for (const [ref, record] of records) if (record.uuid.toLowerCase() === wanted) return { ref, record };
  return null;
}
