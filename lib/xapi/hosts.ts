import type { Ref } from './refs';

/** A host of the pool, as far as it matters for a transfer of a disk on one SR. */
export interface TransferHost {
  readonly ref: Ref<'host'>;
  readonly name: string;
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

/** Why no host can be chosen, host by host, for messages. */
export function explainNoHost(hosts: readonly TransferHost[]): string {
  const reasons = hosts.map((host) => {
    const reason = !host.plugged ? 'storage not plugged' : !host.live ? 'not live' : 'disabled';
    return `${host.name}: ${reason}`;
  });
  return reasons.join(', ');
}
