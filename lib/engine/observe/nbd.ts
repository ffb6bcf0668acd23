/** Whether the source pool can list changed blocks and serve disks over NBD: facts, the planner judges them. */
import { listening, whereOf } from '../../nbd';
import { XapiError } from '../../xapi';
import type { CallOptions, Pool, Ref } from '../../xapi';
import type { JobDefinition } from '../../planner/job';
import type { NbdFacts, ObservedDisk } from '../../planner/observation';
import { deniedOf } from './permissions';
import type { World } from './world';

/** XenServer 7.3. */
const firstApi = { major: 2, minor: 8 } as const;
/** What a storage driver says that can track changed blocks. */
const trackingFeature = 'VDI_CONFIG_CBT';

/** Their roles: vm-admin and stronger; vm-operator for the list. */
const nbdPermissions = [
  'vdi.get_nbd_info',
  'vdi.list_changed_blocks',
  'vdi.enable_cbt',
  'vdi.data_destroy',
] as const;

export type NbdTried = Pick<NbdFacts, 'failed' | 'unreached'>;

/**
 * Null where the job reads by export in any case. Costs no call unless a network serves NBD; then one for the drivers and
 * one for each SR of the VM's disks.
 *
 * @param tried what this run has tried in vain
 */
export async function observeNbd(
  pool: Pool,
  world: World,
  job: JobDefinition,
  disks: readonly ObservedDisk[],
  tried: NbdTried,
  options: CallOptions,
): Promise<NbdFacts | null> {
  if (job.transfer.method === 'export') return null;
  const { major, minor } = pool.apiVersion;
  const known = major > firstApi.major || (major === firstApi.major && minor >= firstApi.minor);
  const purposes = [...new Set([...world.networks.values()].flatMap(({ purpose }) => purpose ?? []))];
  const nothing = { known, licensed: true, purposes, storages: [], denied: [], ...tried };
  if (!known || !purposes.includes('nbd')) return nothing;
  const denied = await deniedOf(pool, nbdPermissions, options);
  if (denied.includes(nbdPermissions[0])) return { ...nothing, denied };
  const { SM, pool: pools } = await pool.read({ SM: 'all', pool: [pool.ref] }, options);
  const restrictions = pools.get(pool.ref)?.restrictions ?? {};
  const tracking = new Set(
    [...SM.values()].filter(({ features }) => trackingFeature in (features ?? {})).map(({ type }) => type),
  );
  // One disk speaks for its SR: what serves it depends on where the SR is plugged.
  const perStorage = new Map(disks.map((disk) => [disk.sr.ref, disk]));
  const storages = await Promise.all(
    [...perStorage.values()].map(async ({ sr, vdi }) => ({
      srUuid: sr.uuid,
      tracksChanges: tracking.has(world.srs.get(sr.ref)?.type ?? ''),
      ...(await serversOf(pool, vdi.ref as Ref<'VDI'>, options)),
    })),
  );
  return { ...nothing, licensed: restrictions['restrict_cbt'] !== 'true', storages, denied };
}

/**
 * Without the name of the export, which carries a session. A pool that refuses to say it must not end a run which can read
 * by export.
 */
async function serversOf(
  pool: Pool,
  vdi: Ref<'VDI'>,
  options: CallOptions,
): Promise<{ readonly servers: readonly string[]; readonly refusal: string | null }> {
  try {
    const servers = await pool.call('VDI.get_nbd_info', [vdi], options);
    return { servers: listening(servers).map(whereOf), refusal: null };
  } catch (error) {
    if (!(error instanceof XapiError) || error.code === 'SESSION_INVALID') throw error;
    return { servers: [], refusal: error.code };
  }
}
