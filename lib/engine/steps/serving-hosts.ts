/** Tells whoever gives way to busy hosts which of them a disk is read from. */
import { listening, whereOf } from '../../nbd';
import type { NbdReach, NbdServer } from '../../nbd';
import type { ObjectsRead, Pool, Ref, ServingHost } from '../../xapi';
import type { TransferMethod } from '../../planner/plan';
import { nbdLimits } from '../data/read-nbd';
import type { NiceKeeper } from '../nice';

interface Reader {
  readonly source: Pool;
  /** Null: nobody gives way. */
  readonly nice: NiceKeeper | null;
  /** Absent: nothing is known of servers that could not be reached. */
  readonly nbdReach?: NbdReach;
  readonly signal: AbortSignal;
}

interface Reading {
  readonly vdi: { readonly ref: string; readonly name: string };
  readonly srRef: string;
  readonly method: TransferMethod;
}

/** Runs `work`, which reads the disk that was opened. Throws only what `work` does. */
export async function whileReading<T>(reader: Reader, reading: Reading, work: () => Promise<T>): Promise<T> {
  const { nice } = reader;
  if (nice === null) return work();
  const leave = nice.readsFrom(await hostsOf(reader, reading, nice));
  try {
    return await work();
  } finally {
    leave();
  }
}

/** A look that fails fails nothing else. */
async function hostsOf(
  reader: Reader,
  { vdi, srRef, method }: Reading,
  nice: NiceKeeper,
): Promise<readonly ServingHost[]> {
  const { source, signal } = reader;
  const where = `the host of disk "${vdi.name}"`;
  try {
    if (method === 'nbd') {
      const hosts = await hostsOverNbd(reader, vdi.ref);
      if (hosts.length === 0) nice.cannotTell(where, 'no host is known at the address that serves it');
      return hosts;
    }
    const host = await source.transferHost(srRef as Ref<'SR'>, { signal });
    return host === null ? [] : [host];
  } catch (error) {
    // Whoever reads the disk hears of a wish to stop, and closes it.
    if (!signal.aborted) nice.cannotTell(where, error instanceof Error ? error.message : String(error));
    return [];
  }
}

async function hostsOverNbd(
  { source, signal, nbdReach }: Reader,
  vdi: string,
): Promise<readonly ServingHost[]> {
  const infos = await source.call('VDI.get_nbd_info', [vdi as Ref<'VDI'>], { signal });
  const used = addressesUsed(infos, nbdReach?.unreached() ?? new Map<string, string>());
  return hostsAt(used, await source.read({ host: 'all', PIF: 'all' }, { signal }));
}

/** Connections go round the servers that may be expected to answer, beginning with the first. */
export function addressesUsed(
  infos: readonly Pick<NbdServer, 'address' | 'port'>[],
  unreached: ReadonlyMap<string, string>,
): ReadonlySet<string> {
  const reached = listening(infos).filter((info) => !unreached.has(whereOf(info)));
  return new Set(reached.slice(0, nbdLimits.connections).map(({ address }) => address));
}

/** NBD may be served on another network than the one that a host is managed on. */
export function hostsAt(
  addresses: ReadonlySet<string>,
  { host, PIF }: Pick<ObjectsRead, 'host' | 'PIF'>,
): readonly ServingHost[] {
  const interfaces = [...PIF.values()].filter(({ IP, IPv6 }) =>
    [IP, ...IPv6.map((one) => one.replace(/\/.*$/, ''))].some((one) => addresses.has(one)),
  );
  const found = new Set(interfaces.map((one) => one.host));
  return [...host]
    .filter(([ref, { address }]) => found.has(ref) || addresses.has(address))
    .map(([ref, { name_label: name }]) => ({ ref, name }));
}
