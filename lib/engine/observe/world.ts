/** One pool as it was at one moment: the records an observation needs, read in a handful of calls. */
import type {
  CallOptions,
  ClassName,
  NetworkRecord,
  PbdRecord,
  Pool,
  Records,
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
  readonly pbds: Table<PbdRecord>;
  readonly networks: Table<NetworkRecord>;
  readonly tasks: Table<TaskRecord>;
}

/**
 * Reads everything an attempt decides upon. The calls are not one transaction: a change in between shows as a
 * dangling reference, which readers take for absent, and at the latest as a stale plan.
 */
export async function readWorld(pool: Pool, options: CallOptions = {}): Promise<World> {
  const [vms, vdis, vbds, vifs, srs, pbds, networks, tasks] = await Promise.all([
    table(pool, 'VM', options),
    table(pool, 'VDI', options),
    table(pool, 'VBD', options),
    table(pool, 'VIF', options),
    table(pool, 'SR', options),
    table(pool, 'PBD', options),
    table(pool, 'network', options),
    table(pool, 'task', options),
  ]);
  return { poolName: pool.name, poolUuid: pool.uuid, vms, vdis, vbds, vifs, srs, pbds, networks, tasks };
}

async function table<C extends ClassName & keyof Records>(
  pool: Pool,
  name: C,
  options: CallOptions,
): Promise<Table<Records[C]>> {
  const records = await pool.call(`${name}.get_all_records`, [], options);
  return new Map(Object.entries(records as Readonly<Record<string, Records[C]>>));
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
