import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectSecure, TLSSocket } from 'node:tls';
import { formatAddress, type HostAddress } from './address';
import { TransportError } from './errors';
import type { Inlet } from './inlet';
import { proofOf, type PeerProof, type Trust } from './trust';

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
  /** Takes what the socket receives; the socket is then no stream to read from. */
  readonly inlet?: Inlet | undefined;
}

/**
 * Opens a connection to a host of the pool. Resolves only once its certificate was accepted, so that no byte of ours has
 * left before.
 * @throws TransportError kind `tls` where it is refused, `connection`, `timeout` or `aborted`
 */
export async function dial(address: HostAddress, options: DialOptions): Promise<Socket> {
  const onread = options.inlet === undefined ? {} : { onread: options.inlet.onread };
  const socket = options.secure
    ? connectSecure({ ...options.trust.connectionOptions(address), ...onread })
    : connectPlain({ host: address.hostname, port: address.port, ...onread });
  options.inlet?.attach(socket);
  try {
    const proof = await established(socket, address, options);
    if (proof !== null) await judge(proof, address, options);
  } catch (error) {
    socket.on('error', () => undefined);
    socket.destroy();
    throw error;
  }
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  return socket;
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
function established(socket: Socket, address: HostAddress, options: DialOptions): Promise<PeerProof | null> {
  const { poolName, signal } = options;
  const timeoutMs = options.timeoutMs ?? CONNECT_TIMEOUT_MS;
  const where = formatAddress(address);
  const opened = options.secure ? 'secureConnect' : 'connect';
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.off(opened, onOpen).off('error', onError).off('close', onClose);
      outcome();
    };
    const fail = (error: TransportError): void => settle(() => reject(error));
    const onOpen = (): void => {
      const proof = socket instanceof TLSSocket ? proofOf(socket) : null;
      settle(() => resolve(proof));
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
    socket.once(opened, onOpen).once('error', onError).once('close', onClose);
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
