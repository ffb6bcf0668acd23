/** From an address to an export that can be read: TCP, greeting, STARTTLS, the certificate, EXPORT_NAME. */
import { X509Certificate } from 'node:crypto';
import { connect as connectPlain, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { checkServerIdentity, connect as connectSecure } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { ByteSource } from './byte-source';
import { NbdError, NbdUnreachable } from './errors';
import {
  clientFlags,
  decodeExportHead,
  decodeOptionReply,
  encodeOption,
  exportHeadBytes,
  greetingBytes,
  option,
  optionReply,
  optionReplyBytes,
  wrongGreeting,
} from './wire';

/** Where a disk can be read, as `VDI.get_nbd_info` says it. */
export interface NbdServer {
  readonly address: string;
  readonly port: number;
  /** Carries a session: never for a message or a log. */
  readonly exportName: string;
  /** The certificate of the host, PEM. */
  readonly certificatePem: string;
  /** A name that this certificate bears. */
  readonly subject: string;
}

/**
 * Those that connections go to. Pools name the IPv6 addresses of their hosts as well, but hosts listen on IPv4 only (as of
 * 24.19): IPv6 counts where there is nothing else.
 */
export function listening<S extends Pick<NbdServer, 'address'>>(servers: readonly S[]): readonly S[] {
  const others = servers.filter(({ address }) => isIP(address) !== 6);
  return others.length > 0 ? others : servers;
}

export interface NbdTimings {
  /** From the first packet to TLS. Nothing of that waits for storage, and a firewall may swallow every packet. */
  readonly connectMaxMs: number;
  /** From there to an export that can be read; the server attaches the disk meanwhile. */
  readonly openMaxMs: number;
  /** Silence while a reply is due. */
  readonly silenceMaxMs: number;
}

export interface OpenExport {
  readonly socket: Socket;
  readonly source: ByteSource;
  readonly sizeBytes: number;
}

/** The longest text that a refusal of an option may carry. */
const refusalBytesMax = 4096;

export function whereOf({ address, port }: Pick<NbdServer, 'address' | 'port'>): string {
  return `${isIP(address) === 6 ? `[${address}]` : address}:${String(port)}`;
}

/**
 * Opens one export. The name of the export, which carries the session, is sent only after the certificate was checked.
 *
 * @throws NbdUnreachable where no disk of this server could be read, NbdError of any kind otherwise; the socket is closed then
 */
export async function openExport(
  server: NbdServer,
  timings: NbdTimings,
  signal: AbortSignal,
): Promise<OpenExport> {
  const where = whereOf(server);
  const plain = connectPlain({ host: server.address, port: server.port, noDelay: true });
  plain.on('error', () => undefined);
  let answered = false;
  plain.once('connect', () => (answered = true));
  try {
    const reaching = { maxMs: timings.connectMaxMs, what: 'no TLS connection', where, signal };
    const socket = await within(plain, reaching, () => reach(plain, server, where, timings)).catch(
      (error: unknown) => {
        throw judged(error, answered);
      },
    );
    const naming = { maxMs: timings.openMaxMs, what: 'the disk is not open', where, signal };
    return await within(plain, naming, () => nameExport(socket, server, where, timings));
  } catch (error) {
    plain.destroy();
    throw error;
  }
}

interface Bound {
  readonly maxMs: number;
  /** What is the case when it has run out. */
  readonly what: string;
  readonly where: string;
  readonly signal: AbortSignal;
}

/** Ends the work by closing the socket. */
async function within<T>(plain: Socket, bound: Bound, work: () => Promise<T>): Promise<T> {
  const { maxMs, what, where, signal } = bound;
  const late = AbortSignal.timeout(maxMs);
  const either = AbortSignal.any([signal, late]);
  const stop = (): void => void plain.destroy();
  either.addEventListener('abort', stop, { once: true });
  if (either.aborted) stop();
  try {
    return await work();
  } catch (error) {
    if (signal.aborted) throw new NbdError('aborted', where, 'opening was cancelled', error);
    if (late.aborted) throw new NbdError('timeout', where, `${what} within ${String(maxMs)} ms`, error);
    throw error;
  } finally {
    either.removeEventListener('abort', stop);
  }
}

async function reach(
  plain: Socket,
  server: NbdServer,
  where: string,
  timings: NbdTimings,
): Promise<TLSSocket> {
  await established(plain, 'connect', where);
  await startTls(plain, where, timings);
  return secured(plain, server, where);
}

/** A host that is full takes a further connection and closes it without a word: that passes. */
function judged(error: unknown, answered: boolean): unknown {
  if (!(error instanceof NbdError) || error.kind === 'aborted') return error;
  return answered && error.kind === 'connection' ? error : new NbdUnreachable(error);
}

async function startTls(plain: Socket, where: string, timings: NbdTimings): Promise<void> {
  const source = new ByteSource(plain, where, timings.silenceMaxMs);
  const wrong = wrongGreeting(await source.take(greetingBytes));
  if (wrong !== null) throw new NbdError('protocol', where, wrong);
  plain.write(Buffer.concat([clientFlags(), encodeOption(option.startTls)]));
  const reply = decodeOptionReply(await source.take(optionReplyBytes), option.startTls);
  if (reply === null) throw new NbdError('protocol', where, 'its reply to STARTTLS is none');
  if (reply.type !== optionReply.ack) {
    const why = reply.type === optionReply.policy ? 'it serves without encryption only' : 'refused';
    const told = (await source.take(Math.min(reply.lengthBytes, refusalBytesMax))).toString('utf8');
    throw new NbdError(
      'tls',
      where,
      `STARTTLS: ${why}${told === '' ? '' : ` (${told})`}; nothing is read in clear`,
    );
  }
  // Bytes in clear that would be taken for the encrypted server's are an attack, or no server of ours.
  if (reply.lengthBytes > 0 || source.bufferedBytes > 0) {
    throw new NbdError('protocol', where, 'it went on in clear after STARTTLS');
  }
  source.release();
}

async function secured(plain: Socket, server: NbdServer, where: string): Promise<TLSSocket> {
  const named = isIP(server.subject) === 0 && /^[\w.-]+$/.test(server.subject);
  const socket = connectSecure({
    socket: plain,
    ...(named ? { servername: server.subject } : {}),
    minVersion: 'TLSv1.2',
    // Judged below: hosts sign their own certificates, so it is the one that the pool announced or nobody's.
    rejectUnauthorized: false,
  });
  socket.on('error', () => undefined);
  await established(socket, 'secureConnect', where);
  const refusal = refuseCertificate(socket, server);
  if (refusal !== null) throw new NbdError('tls', where, refusal);
  return socket;
}

/**
 * Only the very certificate that the pool announced is accepted, and only under the announced name: authorities, expiry
 * and whatever else the machine trusts say nothing about a host of this pool.
 */
function refuseCertificate(socket: TLSSocket, { certificatePem, subject }: NbdServer): string | null {
  let announced: X509Certificate;
  try {
    announced = new X509Certificate(certificatePem);
  } catch {
    return 'the certificate that the pool announced cannot be read';
  }
  const shown = socket.getPeerX509Certificate();
  if (shown?.fingerprint256 !== announced.fingerprint256) {
    return (
      `it shows a certificate with SHA-256 ${shown?.fingerprint256 ?? 'none'}, ` +
      `the pool announced ${announced.fingerprint256}`
    );
  }
  if (namesOf(announced).includes(subject)) return null;
  const mismatch = checkServerIdentity(subject, announced.toLegacyObject());
  return mismatch === undefined
    ? null
    : `its certificate does not bear the announced name: ${mismatch.message}`;
}

/**
 * As they are written. A pool announces one of them, which may be none that a browser would take: a wildcard right above the
 * top, or an address as the common name.
 */
function namesOf(certificate: X509Certificate): readonly string[] {
  const { subject, subjectaltname } = certificate.toLegacyObject() as Names;
  const alternatives = subjectaltname?.split(', ').map((one) => one.replace(/^(?:DNS|IP Address):/, ''));
  return [alternatives ?? [], subject?.CN ?? []].flat();
}

/** Either may be missing, whatever the types of Node say. */
interface Names {
  readonly subject?: { readonly CN?: string | readonly string[] };
  readonly subjectaltname?: string;
}

async function nameExport(
  socket: Socket,
  server: NbdServer,
  where: string,
  timings: NbdTimings,
): Promise<OpenExport> {
  const source = new ByteSource(socket, where, timings.openMaxMs);
  socket.write(encodeOption(option.exportName, server.exportName));
  const head = await source.take(exportHeadBytes).catch((error: unknown) => {
    throw new NbdError('refused', where, 'it closed the connection when asked for the disk', error);
  });
  const sizeBytes = decodeExportHead(head);
  if (typeof sizeBytes === 'string') throw new NbdError('protocol', where, sizeBytes);
  source.release();
  return { socket, source: new ByteSource(socket, where, timings.silenceMaxMs), sizeBytes };
}

function established(socket: Socket, event: 'connect' | 'secureConnect', where: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const off = (): void => void socket.off(event, onOpen).off('error', onError).off('close', onClose);
    const onOpen = (): void => {
      off();
      resolve();
    };
    const fail = (what: string, cause?: Error): void => {
      off();
      reject(new NbdError(event === 'connect' ? 'connection' : 'tls', where, what, cause));
    };
    const onError = (error: Error): void =>
      fail(`${event === 'connect' ? 'no connection' : 'no TLS'}: ${error.message}`, error);
    const onClose = (): void => fail('closed while the connection was being made');
    socket.once(event, onOpen).once('error', onError).once('close', onClose);
    if (socket.destroyed) onClose();
  });
}
