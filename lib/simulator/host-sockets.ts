import { randomInt } from 'node:crypto';
import type { Release } from './datamodel/releases';
import { makeCertificate, type HostCertificate } from './http/certificate';
import type { ConnectionContext } from './http/connection';
import { listen, type Listener } from './http/listener';
import type { HostPlace } from './populate/infrastructure';

/** A host whose sockets are open; until it has a context it takes no connection. */
export interface OpenHost {
  readonly place: HostPlace;
  readonly listeners: readonly Listener[];
  readonly plainUrl: string | null;
  context: ConnectionContext | null;
}

/** Where a host listened in a former process. */
export interface FormerPlace {
  readonly ip: string;
  readonly port: number;
  readonly certificate: HostCertificate;
}

export interface SocketOptions {
  readonly hosts: readonly string[];
  readonly release: Release;
  readonly plainHttp: boolean;
  /** By name of the host. */
  readonly former: ReadonlyMap<string, FormerPlace>;
}

/** Opens the sockets of a pool: every host has its own loopback address, all of them the same port. */
export async function openHosts(options: SocketOptions): Promise<OpenHost[]> {
  const opened: OpenHost[] = [];
  const network = `127.${randomInt(16, 250)}.${randomInt(1, 250)}`;
  const first = randomInt(2, 200);
  let port = 0;
  try {
    for (const [index, name] of options.hosts.entries()) {
      const former = options.former.get(name);
      const wanted = former ?? { ip: `${network}.${first + index}`, port };
      const host = await openHost(name, wanted, former?.certificate ?? null, options);
      port = host.listeners[0]?.port ?? 0;
      opened.push(host);
    }
  } catch (error) {
    for (const { listeners } of opened) for (const listener of listeners) await listener.close();
    throw error;
  }
  return opened;
}

type Wanted = Pick<FormerPlace, 'ip' | 'port'>;
type Context = () => ConnectionContext | null;

async function openHost(
  name: string,
  wanted: Wanted,
  formerCertificate: HostCertificate | null,
  { release, plainHttp }: SocketOptions,
): Promise<OpenHost> {
  const certificate = formerCertificate ?? makeCertificate(name, [wanted.ip, '127.0.0.1']);
  const holder: { context: ConnectionContext | null } = { context: null };
  const context: Context = () => holder.context;
  const secure = await listenSomewhere(wanted, { certificate, release, context });
  const plain = plainHttp
    ? await listen({ address: secure.address, port: 0, certificate: null, release, context })
    : null;
  const location = secure.port === 443 ? secure.address : `${secure.address}:${secure.port}`;
  const address = secure.address === wanted.ip ? secure.address : location;
  return Object.assign(holder, {
    place: { name, ip: secure.address, port: secure.port, address, location, certificate },
    listeners: plain === null ? [secure] : [secure, plain],
    plainUrl: plain === null ? null : `http://${plain.address}:${plain.port}`,
  });
}

/** Where a system has no loopback network beyond 127.0.0.1 (macOS), the hosts differ by port only. */
async function listenSomewhere(
  { ip, port }: Wanted,
  options: { readonly certificate: HostCertificate; readonly release: Release; readonly context: Context },
): Promise<Listener> {
  try {
    return await listen({ ...options, address: ip, port });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EADDRNOTAVAIL') return listen({ ...options, address: '127.0.0.1', port: 0 });
    // Somebody took the former port meanwhile: the pool comes up elsewhere rather than not at all.
    if (code === 'EADDRINUSE' && port !== 0) return listen({ ...options, address: ip, port: 0 });
    throw error;
  }
}
