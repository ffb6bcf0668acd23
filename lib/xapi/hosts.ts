import type { ObjectsRead } from './read-objects';
import type { Ref } from './refs';

/** A host that serves a transfer. */
export interface ServingHost {
  readonly ref: Ref<'host'>;
  readonly name: string;
}

/** A host of the pool, as far as it matters for a transfer of a disk on one SR. */
export interface TransferHost extends ServingHost {
  readonly address: string;
  readonly isCoordinator: boolean;
  /** Its PBD of the SR is attached. */
  readonly plugged: boolean;
  readonly enabled: boolean;
  readonly live: boolean;
}

/**
 * The host to send a transfer to: one that sees the storage, is enabled and alive. The coordinator where it can, since its
 * address and certificate are proved already; else the first member by name. Null where no host can.
 */
export function chooseTransferHost(hosts: readonly TransferHost[]): TransferHost | null {
  const able = hosts.filter((host) => host.plugged && host.enabled && host.live);
  const byName = able.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return byName.find((host) => host.isCoordinator) ?? byName[0] ?? null;
}

/** The hosts of a pool, as far as they matter for a transfer of a disk on this SR. */
export function transferHosts(
  { PBD, host, host_metrics: metrics, pool }: Pick<ObjectsRead, 'PBD' | 'host' | 'host_metrics' | 'pool'>,
  sr: Ref<'SR'>,
): readonly TransferHost[] {
  const coordinator = [...pool.values()][0]?.master;
  const attached = [...PBD.values()].filter((pbd) => pbd.SR === sr && pbd.currently_attached);
  const plugged = new Set(attached.map((pbd) => pbd.host));
  return [...host].map(([ref, record]) => ({
    ref,
    name: record.name_label,
    address: record.address,
    isCoordinator: ref === coordinator,
    plugged: plugged.has(ref),
    enabled: record.enabled,
    live: metrics.get(record.metrics)?.live ?? false,
  }));
}

/** Why no host can be chosen, host by host, for messages. */
export function explainNoHost(hosts: readonly TransferHost[]): string {
  const reasons = hosts.map((host) => {
    const reason = !host.plugged ? 'storage not plugged' : !host.live ? 'not live' : 'disabled';
    return `${host.name}: ${reason}`;
  });
  return reasons.join(', ');
}
