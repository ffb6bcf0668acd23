import type { Socket } from 'node:net';
import { formatAddress, parseAddress, type HostAddress } from './address';
import { dial, type DialOptions } from './dial';
import { TransportError } from './errors';
import type { TransferHost } from './hosts';
import { formatRequestHead, ResponseHeadReader, type RequestTarget, type ResponseHead } from './http-head';

const MAX_REDIRECTS = 3;

export interface TransferRequest {
  readonly target: RequestTarget;
  /** Goes over every redirect unchanged: what a Location repeats of it is not believed. */
  readonly credentials: { readonly session_id: string; readonly task_id: string };
  readonly host: TransferHost;
  /** All hosts of the pool: a redirect leads to one of them or nowhere. */
  readonly hosts: readonly TransferHost[];
  /** Where the coordinator is reached: behind NAT that is not its own address. */
  readonly coordinator: HostAddress;
  readonly dial: DialOptions;
  /** How long to wait for the head of the answer before the transfer goes on without. */
  readonly headTimeoutMs: number;
}

export interface OpenTransfer {
  readonly socket: Socket;
  /** Null where it has not come in time. */
  readonly head: ResponseHead | null;
  /** `host:port` that serves the transfer. */
  readonly server: string;
}

/**
 * Sends the head of a transfer and follows redirects, each over a connection that was proved like the first.
 * @throws TransportError
 */
export async function openTransfer(request: TransferRequest): Promise<OpenTransfer> {
  let address = addressOf(request.host, request.coordinator);
  let target = request.target;
  for (let redirects = 0; ; redirects += 1) {
    const socket = await dial(address, request.dial);
    const query = { ...target.query, ...request.credentials };
    const head = await exchange(socket, { ...target, query }, address, request);
    if (head?.status !== 302) return { socket, head, server: formatAddress(address) };
    socket.destroy();
    const location = head.headers.get('location') ?? '';
    if (redirects === MAX_REDIRECTS) throw refuseRedirect(location, 'too many redirects', request);
    ({ address, target } = followRedirect(location, request));
  }
}

async function exchange(
  socket: Socket,
  target: RequestTarget,
  address: HostAddress,
  request: TransferRequest,
): Promise<ResponseHead | null> {
  const { signal, secure } = request.dial;
  const onAbort = (): void => {
    socket.destroy(fail('aborted', 'never', 'cancelled', 'cancelled by the caller', request));
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    socket.write(formatRequestHead(target, address, secure ? 443 : 80));
    return await awaitHead(socket, request);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Reads the head of the answer; what came after it stays in the socket, which is left paused. */
function awaitHead(socket: Socket, request: TransferRequest): Promise<ResponseHead | null> {
  const reader = new ResponseHeadReader();
  const pieces: Buffer[] = [];
  return new Promise((resolve, reject) => {
    const settle = (leftover: Buffer, outcome: () => void): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('error', onError).off('close', onClose).pause();
      if (leftover.length > 0) socket.unshift(leftover);
      outcome();
    };
    const onData = (piece: Buffer): void => {
      pieces.push(piece);
      try {
        const answer = reader.push(piece);
        if (answer !== null) settle(answer.rest, () => resolve(answer.head));
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error);
        const hint = 'is this the address of a XenServer?';
        settle(Buffer.alloc(0), () => reject(fail('protocol', 'never', text, hint, request)));
      }
    };
    const onError = (error: Error): void =>
      settle(Buffer.alloc(0), () => reject(asTransportError(error, request)));
    const onClose = (): void => onError(new Error('closed before an answer'));
    const timer = setTimeout(() => settle(Buffer.concat(pieces), () => resolve(null)), request.headTimeoutMs);
    socket.on('data', onData).on('error', onError).on('close', onClose).resume();
  });
}

/** Where a redirect leads, if that is a host of this pool: a session must not be carried anywhere else. */
function followRedirect(
  location: string,
  request: TransferRequest,
): { readonly address: HostAddress; readonly target: RequestTarget } {
  if (!URL.canParse(location)) throw refuseRedirect(location, 'it has no Location', request);
  const url = new URL(location);
  const { secure } = request.dial;
  if (url.protocol !== 'https:' && (secure || url.protocol !== 'http:'))
    throw refuseRedirect(location, 'it leaves TLS', request);
  if (url.pathname !== request.target.path)
    throw refuseRedirect(location, 'it leads to another path', request);
  const hostname = url.hostname.replace(/^\[|\]$/g, '');
  const host = request.hosts.find((candidate) => parseAddress(candidate.address, 443).hostname === hostname);
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  const isCoordinator = host?.isCoordinator === true || hostname === request.coordinator.hostname;
  if (host === undefined && !isCoordinator)
    throw refuseRedirect(location, 'it leads to no host of this pool', request);
  return {
    address: isCoordinator ? request.coordinator : { hostname, port },
    target: { ...request.target, query: Object.fromEntries(url.searchParams) },
  };
}

/** The address to reach a host at: for a bare one the port of the pool's own URL. */
function addressOf(host: TransferHost, coordinator: HostAddress): HostAddress {
  return host.isCoordinator ? coordinator : parseAddress(host.address, coordinator.port);
}

function refuseRedirect(location: string, reason: string, request: TransferRequest): TransportError {
  const where = URL.canParse(location) ? new URL(location).host : 'nowhere';
  return fail(
    'protocol',
    'later',
    `was redirected to ${where}: ${reason}`,
    'nothing was sent there',
    request,
  );
}

function asTransportError(error: Error, request: TransferRequest): TransportError {
  if (error instanceof TransportError) return error;
  const hint = 'nothing of the disk was transferred';
  return fail('connection', 'later', `lost its connection (${error.message})`, hint, request);
}

function fail(
  kind: TransportError['kind'],
  retry: TransportError['retry'],
  text: string,
  hint: string,
  request: TransferRequest,
): TransportError {
  const what = `${request.target.method} ${request.target.path}: ${text}`;
  return new TransportError({ kind, retry, what, hint, poolName: request.dial.poolName });
}
