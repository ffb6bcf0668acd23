import { formatAddress, parseAddress, type HostAddress } from './address';
import { dialToReceive, type DialOptions, type Received, type ReceivedBy } from './dial';
import { TransportError } from './errors';
import type { TransferHost } from './hosts';
import { formatRequestHead, ResponseHeadReader, type RequestTarget, type ResponseHead } from './http-head';
import type { Inlet } from './inlet';

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
  readonly receivedBy: ReceivedBy;
  /** How long to wait for the head of the answer before the transfer goes on without. */
  readonly headTimeoutMs: number;
}

/** What is received can be read from behind the head on. */
export interface OpenTransfer extends Received {
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
    const received = await dialToReceive(address, request.receivedBy, request.dial);
    const query = { ...target.query, ...request.credentials };
    const head = await exchange(received, { ...target, query }, address, request);
    if (head?.status !== 302) return { ...received, head, server: formatAddress(address) };
    received.wire.destroy();
    const location = head.headers.get('location') ?? '';
    if (redirects === MAX_REDIRECTS) throw refuseRedirect(location, 'too many redirects', request);
    ({ address, target } = followRedirect(location, request));
  }
}

async function exchange(
  { wire, inlet }: Received,
  target: RequestTarget,
  address: HostAddress,
  request: TransferRequest,
): Promise<ResponseHead | null> {
  const { signal, secure } = request.dial;
  const onAbort = (): void => {
    wire.destroy(fail('aborted', 'never', 'cancelled', 'cancelled by the caller', request));
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  try {
    wire.write(formatRequestHead(target, address, secure ? 443 : 80));
    return await awaitHead(inlet, request);
  } catch (error) {
    wire.destroy();
    throw error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Reads the head of the answer; what came after it can be read next. Null where it does not come in time. */
async function awaitHead(inlet: Inlet, request: TransferRequest): Promise<ResponseHead | null> {
  const reader = new ResponseHeadReader();
  const received: Buffer[] = [];
  const startedMs = performance.now();
  while (await inlet.arrival(request.headTimeoutMs - (performance.now() - startedMs))) {
    const piece = await inlet.read().catch((error: unknown) => {
      throw asTransportError(error, request);
    });
    if (piece === null) throw asTransportError(new Error('closed before an answer'), request);
    received.push(Buffer.from(piece));
    const answer = pushed(reader, piece, request);
    if (answer === null) continue;
    inlet.unread(answer.rest);
    return answer.head;
  }
  inlet.unread(Buffer.concat(received));
  return null;
}

function pushed(
  reader: ResponseHeadReader,
  piece: Buffer,
  request: TransferRequest,
): ReturnType<ResponseHeadReader['push']> {
  try {
    return reader.push(piece);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw fail('protocol', 'never', text, 'is this the address of a XenServer?', request);
  }
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

function asTransportError(error: unknown, request: TransferRequest): TransportError {
  if (error instanceof TransportError) return error;
  const hint = 'nothing of the disk was transferred';
  const reason = error instanceof Error ? error.message : String(error);
  return fail('connection', 'later', `lost its connection (${reason})`, hint, request);
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
