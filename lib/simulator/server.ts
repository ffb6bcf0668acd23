import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { makeCertificate, type HostCertificate } from './http/certificate';
import { listen, type Listener } from './http/listener';
import type { ConnectionContext } from './http/connection';
import type { Release } from './datamodel/releases';
import { Pool } from './pool/pool';
import { transferHost } from './pool/transfer-vdi';
import { transferSide } from './pool/transfers';
import { createContents } from './populate/contents';
import { createInfrastructure, type HostPlace } from './populate/infrastructure';
import { startNbdServer, type NbdServer } from './nbd';
import type { PoolSpec } from './spec';

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
}

interface OpenHost {
  readonly place: HostPlace;
  readonly listeners: readonly Listener[];
  readonly plainUrl: string | null;
  context: ConnectionContext | null;
}

/** Opens the sockets of all hosts, fills the pool, and lets clients in. */
export async function servePool(spec: PoolSpec, options: ServeOptions): Promise<RunningPool> {
  const release = spec.release ?? '8.3';
  const pool = new Pool({
    name: spec.name,
    release,
    seed: String(options.seed),
    users: [
      { name: spec.username ?? 'root', password: spec.password ?? 'secret', role: 'pool-admin' },
      ...(spec.users ?? []),
    ],
    wrongPasswordDelayMs: spec.wrongPasswordDelayMs ?? 5000,
    cutRawUpload: spec.cutRawUpload ?? 'fails',
    coalesceDelayMs: spec.coalesceDelayMs === undefined ? 1000 : spec.coalesceDelayMs,
  });
  const opened = await openHosts(spec, release, options.plainHttp);
  const nbd: NbdServer[] = [];
  try {
    createInfrastructure(
      pool,
      spec,
      opened.map((host) => host.place),
    );
    await createContents(pool, spec, join(options.folder, spec.name));
    nbd.push(...(await letIn(pool, opened)));
  } catch (error) {
    await closeAll(pool, opened, nbd);
    throw error;
  }
  return { pool, hosts: runningHosts(pool, opened), close: () => closeAll(pool, opened, nbd) };
}

/** From now on connections are served. */
async function letIn(pool: Pool, opened: readonly OpenHost[]): Promise<NbdServer[]> {
  const transfers = transferSide(pool);
  const servers: NbdServer[] = [];
  for (const [index, host] of pool.hosts.entries()) {
    const own = opened[index];
    if (own === undefined) continue;
    const { certificate, ip } = own.place;
    if (pool.facts.apiMinor >= 8) {
      const [key, cert] = [certificate.keyPem, certificate.certificatePem];
      const server = await startNbdServer(
        { host: transferHost(host), address: ip, port: 0, key, cert },
        transfers,
      );
      servers.push(server);
      pool.nbdPorts.set(host.ref, server.port);
    }
    own.context = { pool, transfers, host };
  }
  return servers;
}

function runningHosts(pool: Pool, opened: readonly OpenHost[]): RunningHost[] {
  return opened.map(({ place, plainUrl, listeners }, index) => ({
    name: place.name,
    ref: pool.hosts[index]?.ref ?? '',
    url: `https://${place.location}`,
    plainUrl,
    fingerprint: place.certificate.fingerprint,
    nbdPort: pool.nbdPorts.get(pool.hosts[index]?.ref ?? '') ?? null,
    cut: () => {
      for (const listener of listeners) listener.cut();
    },
  }));
}

/** Every host gets its own loopback address and all hosts of a pool the same port. */
async function openHosts(spec: PoolSpec, release: Release, plainHttp: boolean): Promise<OpenHost[]> {
  const opened: OpenHost[] = [];
  const network = `127.${randomInt(16, 250)}.${randomInt(1, 250)}`;
  const first = randomInt(2, 200);
  let port = 0;
  try {
    for (const [index, { name }] of spec.hosts.entries()) {
      const host = await openHost({ name, ip: `${network}.${first + index}`, port, release, plainHttp });
      port = host.listeners[0]?.port ?? 0;
      opened.push(host);
    }
  } catch (error) {
    for (const { listeners } of opened) for (const listener of listeners) await listener.close();
    throw error;
  }
  return opened;
}

interface Wanted {
  readonly name: string;
  readonly ip: string;
  readonly port: number;
  readonly release: Release;
  readonly plainHttp: boolean;
}

async function openHost(wanted: Wanted): Promise<OpenHost> {
  const certificate = makeCertificate(wanted.name, [wanted.ip, '127.0.0.1']);
  const holder: { context: ConnectionContext | null } = { context: null };
  const context = (): ConnectionContext | null => holder.context;
  const secure = await listenSomewhere(wanted, certificate, context);
  const listeners = [secure];
  let plainUrl: string | null = null;
  if (wanted.plainHttp) {
    const plain = await listen({
      address: secure.address,
      port: 0,
      certificate: null,
      release: wanted.release,
      context,
    });
    listeners.push(plain);
    plainUrl = `http://${plain.address}:${plain.port}`;
  }
  const location = secure.port === 443 ? secure.address : `${secure.address}:${secure.port}`;
  const address = secure.address === wanted.ip ? secure.address : location;
  return Object.assign(holder, {
    place: { name: wanted.name, ip: secure.address, address, location, certificate },
    listeners,
    plainUrl,
  });
}

/** Where a system has no loopback network beyond 127.0.0.1 (macOS), the hosts differ by port only. */
async function listenSomewhere(
  { ip, port, release }: Wanted,
  certificate: HostCertificate,
  context: () => ConnectionContext | null,
): Promise<Listener> {
  try {
    return await listen({ address: ip, port, certificate, release, context });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRNOTAVAIL') throw error;
    return listen({ address: '127.0.0.1', port: 0, certificate, release, context });
  }
}

async function closeAll(pool: Pool, opened: readonly OpenHost[], nbd: readonly NbdServer[]): Promise<void> {
  pool.close();
  for (const server of nbd) await server.close();
  for (const { listeners } of opened) for (const listener of listeners) await listener.close();
  for (const store of pool.stores.values()) await store.close();
}
