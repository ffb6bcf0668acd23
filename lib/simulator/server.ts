import { join } from 'node:path';
import { openHosts, type FormerPlace, type OpenHost } from './host-sockets';
import { startNbdServer, type NbdServer } from './nbd';
import { Pool } from './pool/pool';
import { transferHost } from './pool/transfer-vdi';
import { transferSide } from './pool/transfers';
import { createContents, reopenStores } from './populate/contents';
import { createInfrastructure } from './populate/infrastructure';
import type { PoolSpec } from './spec';
import { loadPool, restorePool, Saver, type SavedPool } from './state/saved';

/** One simulated pool with its sockets open. */
export interface RunningPool {
  readonly pool: Pool;
  readonly hosts: readonly RunningHost[];
  close(): Promise<void>;
}

export interface RunningHost {
  readonly name: string;
  readonly ref: string;
  readonly url: string;
  /** Only with the option `plainHttp`. */
  readonly plainUrl: string | null;
  readonly fingerprint: string;
  readonly nbdPort: number | null;
  /** Cuts all connections of the host. */
  cut(): void;
}

export interface ServeOptions {
  readonly seed: number;
  readonly plainHttp: boolean;
  /** Where the disks are. */
  readonly folder: string;
  /** What is in the folder outlives this process: it is read first and written at every change. */
  readonly keepsState: boolean;
}

/** Everything that has to be closed again. */
interface Open {
  readonly pool: Pool;
  readonly hosts: readonly OpenHost[];
  readonly nbd: NbdServer[];
  saver: Saver | null;
}

/** Opens the sockets of all hosts, fills the pool, and lets clients in. */
export async function servePool(spec: PoolSpec, options: ServeOptions): Promise<RunningPool> {
  const folder = join(options.folder, encodeURIComponent(spec.name));
  const saved = options.keepsState ? await loadPool(folder) : null;
  const pool = makePool(spec, saved, options.seed);
  const hosts = await openHosts({
    hosts: saved?.hosts.map((host) => host.name) ?? spec.hosts.map((host) => host.name),
    release: pool.release,
    plainHttp: options.plainHttp,
    former: formerPlaces(saved),
  });
  const open: Open = { pool, hosts, nbd: [], saver: null };
  const places = hosts.map((host) => host.place);
  try {
    if (saved === null) {
      createInfrastructure(pool, spec, places);
      await createContents(pool, spec, folder);
    } else {
      restorePool(pool, saved, places);
      await reopenStores(pool, folder);
    }
    setHosts(pool, spec);
    if (options.keepsState) open.saver = new Saver(pool, folder, places);
    await letIn(open);
  } catch (error) {
    await closeAll(open);
    throw error;
  }
  return { pool, hosts: runningHosts(open), close: () => closeAll(open) };
}

/** Of a saved pool the release stays what it was, whatever the spec says now. */
function makePool(spec: PoolSpec, saved: SavedPool | null, seed: number): Pool {
  return new Pool({
    name: spec.name,
    release: saved?.release ?? spec.release ?? '8.3',
    seed: String(seed),
    users: [
      { name: spec.username ?? 'root', password: spec.password ?? 'secret', role: 'pool-admin' },
      ...(spec.users ?? []),
    ],
    wrongPasswordDelayMs: spec.wrongPasswordDelayMs ?? 5000,
    cutRawUpload: spec.cutRawUpload ?? 'fails',
    coalesceDelayMs: spec.coalesceDelayMs === undefined ? 1000 : spec.coalesceDelayMs,
  });
}

/** What is not saved: it is as the spec says, each time. */
function setHosts(pool: Pool, { hosts }: PoolSpec): void {
  for (const { name, controlDomainLoad: load, lineBytesPerSecond = null } of hosts) {
    const host = pool.hosts.find((one) => one.name === name);
    if (host === undefined) continue;
    if (load !== undefined) pool.controlDomainLoads.set(host.ref, load);
    host.line.setSpeed(lineBytesPerSecond);
  }
}

function formerPlaces(saved: SavedPool | null): ReadonlyMap<string, FormerPlace> {
  return new Map((saved?.hosts ?? []).map((host) => [host.name, host]));
}

/** From now on connections are served. */
async function letIn({ pool, hosts, nbd }: Open): Promise<void> {
  const transfers = transferSide(pool);
  for (const [index, host] of pool.hosts.entries()) {
    const own = hosts[index];
    if (own === undefined) continue;
    const { certificate, ip } = own.place;
    if (pool.facts.apiMinor >= 8) {
      const [key, cert] = [certificate.keyPem, certificate.certificatePem];
      const server = await startNbdServer(
        {
          host: transferHost(host),
          address: ip,
          port: 0,
          key,
          cert,
          takesConnections: () => !pool.offline.has(host.ref),
        },
        transfers,
      );
      nbd.push(server);
      pool.nbdPorts.set(host.ref, server.port);
    }
    own.context = { pool, transfers, host };
  }
}

function runningHosts({ pool, hosts, nbd }: Open): RunningHost[] {
  return hosts.map(({ place, plainUrl, listeners }, index) => ({
    name: place.name,
    ref: pool.hosts[index]?.ref ?? '',
    url: `https://${place.location}`,
    plainUrl,
    fingerprint: place.certificate.fingerprint,
    nbdPort: pool.nbdPorts.get(pool.hosts[index]?.ref ?? '') ?? null,
    cut: () => {
      for (const listener of listeners) listener.cut();
      // One for each host, or none at all.
      nbd[index]?.cut();
    },
  }));
}

/** Calls that still wait are dropped, transfers end as if the host lost power; then the disks are closed. */
async function closeAll({ pool, hosts, nbd, saver }: Open): Promise<void> {
  pool.close();
  // Whoever waits for a line goes on and finds its connection cut.
  for (const { line } of pool.hosts) line.setSpeed(null);
  for (const server of nbd) await server.close();
  for (const { listeners } of hosts) for (const listener of listeners) await listener.close();
  await saver?.close();
  for (const store of pool.stores.values()) await store.close();
}
