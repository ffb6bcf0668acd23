import { connect as connectPlain, Socket, type OnReadOpts } from 'node:net';
import { connect as connectSecure } from 'node:tls';
import { formatAddress, type HostAddress } from './address';
import { TransportError } from './errors';
import type { Inlet } from './inlet';
import { proofOf, type PeerProof } from './peer-proof';
import { ThreadConnection } from './receiving-thread/connection';
import type { ConnectionOrder } from './receiving-thread/messages';
import { SocketInlet } from './socket-inlet';
import type { Trust } from './trust';
import type { Wire } from './wire';

const CONNECT_TIMEOUT_MS = 20_000;
const KEEP_ALIVE_MS = 30_000;

export interface DialOptions {
  readonly poolName: string;
  readonly trust: Trust;
  /** False only for pools that are written `http://` on purpose. */
  readonly secure: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  /**
   * Asks the coordinator for the certificate (PEM) of the host at this address, where the one it shows is unknown;
   * null where nobody can vouch for it.
   */
  readonly vouch?: ((address: HostAddress) => Promise<string | null>) | undefined;
}

/** A connection on its way: whom it reached is to be judged before a byte is written to it. */
interface Dialled<W extends Wire> {
  readonly wire: W;
  /** The event after which it can be used. */
  readonly opened: 'connect' | 'secureConnect';
  readonly proof: () => PeerProof | null;
}

/**
 * Opens a connection to a host of the pool. Resolves only once its certificate was accepted, so that no byte of ours has
 * left before.
 * @throws TransportError kind `tls` where it is refused, `connection`, `timeout` or `aborted`
 */
export async function dial(address: HostAddress, options: DialOptions): Promise<Socket> {
  return proved(openSocket(address, options, {}), address, options);
}

/** Where the bytes are received: in this thread, or in one of their own. */
export type ReceivedBy = 'this-thread' | 'own-thread';

export interface Received {
  readonly wire: Wire;
  /** What the connection receives. */
  readonly inlet: Inlet;
}

/**
 * As `dial`, for who receives much. Where no thread is to be had (a limit of processes or memory) this one receives: more
 * slowly, and as right.
 */
export async function dialToReceive(
  address: HostAddress,
  receivedBy: ReceivedBy,
  options: DialOptions,
): Promise<Received> {
  if (receivedBy === 'own-thread') {
    const received = await dialByThread(address, options);
    if (received !== null) return received;
  }
  const inlet = new SocketInlet();
  const dialled = openSocket(address, options, { onread: inlet.onread });
  inlet.attach(dialled.wire);
  return { wire: await proved(dialled, address, options), inlet };
}

/** Null where the thread cannot be started. */
async function dialByThread(address: HostAddress, options: DialOptions): Promise<Received | null> {
  const thread = startThread(connectionOrder(address, options));
  if (thread === null) return null;
  try {
    const dialled = { wire: thread, opened: 'connect', proof: () => thread.proof } as const;
    return { wire: await proved(dialled, address, options), inlet: thread.inlet };
  } catch (error) {
    if (thread.neverStarted) return null;
    throw error;
  }
}

function startThread(order: ConnectionOrder): ThreadConnection | null {
  try {
    return new ThreadConnection(order);
  } catch {
    return null;
  }
}

function openSocket(
  address: HostAddress,
  { secure, trust }: DialOptions,
  onread: { readonly onread?: OnReadOpts },
): Dialled<Socket> {
  const { hostname: host, port } = address;
  if (!secure) return { wire: connectPlain({ host, port, ...onread }), opened: 'connect', proof: () => null };
  const wire = connectSecure({ ...trust.connectionOptions(address), ...onread });
  return { wire, opened: 'secureConnect', proof: () => proofOf(wire) };
}

function connectionOrder(address: HostAddress, { secure, trust }: DialOptions): ConnectionOrder {
  if (secure) return { secure, options: trust.plainConnectionOptions(address) };
  return { secure, options: { host: address.hostname, port: address.port } };
}

async function proved<W extends Wire>(
  dialled: Dialled<W>,
  address: HostAddress,
  options: DialOptions,
): Promise<W> {
  const { wire } = dialled;
  try {
    const proof = await established(dialled, address, options);
    if (proof !== null) await judge(proof, address, options);
  } catch (error) {
    wire.on('error', () => undefined);
    wire.destroy();
    throw error;
  }
  if (wire instanceof Socket) wire.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS);
  return wire;
}

async function judge(proof: PeerProof, address: HostAddress, options: DialOptions): Promise<void> {
  const { trust, poolName } = options;
  if (trust.accepts(proof, address)) return;
  const refuse = (): TransportError => {
    const { what, hint } = trust.refusal(proof);
    return new TransportError({
      kind: 'tls',
      retry: 'never',
      what: `host ${formatAddress(address)} was refused, ${what}`,
      hint,
      poolName,
    });
  };
  const pem = await options.vouch?.(address);
  if (pem === undefined || pem === null) throw refuse();
  trust.learn(address, pem);
  if (!trust.accepts(proof, address)) throw refuse();
}

/** Waits for the connection; gives what the host showed, or null where there is no TLS. */
function established(
  { wire, opened, proof }: Dialled<Wire>,
  address: HostAddress,
  options: DialOptions,
): Promise<PeerProof | null> {
  const { poolName, signal } = options;
  const timeoutMs = options.timeoutMs ?? CONNECT_TIMEOUT_MS;
  const where = formatAddress(address);
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      wire.off(opened, onOpen).off('error', onError).off('close', onClose);
      outcome();
    };
    const fail = (error: TransportError): void => settle(() => reject(error));
    const onOpen = (): void => {
      const shown = proof();
      settle(() => resolve(shown));
    };
    const onError = (error: Error): void => fail(connectFailure(error, where, poolName));
    const onClose = (): void =>
      fail(connectFailure(new Error('closed during the handshake'), where, poolName));
    const onAbort = (): void =>
      fail(
        new TransportError({
          kind: 'aborted',
          retry: 'never',
          what: `connecting to ${where}`,
          hint: 'cancelled by the caller',
          poolName,
        }),
      );
    const timer = setTimeout(
      () =>
        fail(
          new TransportError({
            kind: 'timeout',
            retry: 'later',
            what: `no connection to ${where} within ${timeoutMs} ms`,
            hint: 'is the host up, and does a firewall let port 443 through?',
            poolName,
          }),
        ),
      timeoutMs,
    );
    wire.once(opened, onOpen).once('error', onError).once('close', onClose);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
  });
}

const OLD_TLS =
  /unsupported protocol|protocol version|no protocols available|wrong version number|key too small|no cipher|handshake failure|unsafe legacy/i;

function connectFailure(error: Error, where: string, poolName: string): TransportError {
  const { code } = error as NodeJS.ErrnoException;
  if (code?.startsWith('ERR_SSL') === true || code === 'EPROTO' || OLD_TLS.test(error.message)) {
    return new TransportError({
      kind: 'tls',
      retry: 'never',
      what: `no TLS connection to ${where} (${error.message.trim()})`,
      hint: 'a host that knows TLS 1.0 only (XenServer 6.5) needs legacy_tls: true and its fingerprint pinned',
      poolName,
      cause: error,
    });
  }
  return new TransportError({
    kind: 'connection',
    retry: 'later',
    what: `no connection to ${where} (${error.message})`,
    hint: 'is the host up, and is the address right?',
    poolName,
    cause: error,
  });
}
