/** Servers for the client: the simulator's, and one that does to the protocol whatever a test wants. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { NbdReach, NbdReader } from '../../lib/nbd';
import type { NbdPiece, NbdRange, NbdReaderOptions, NbdServer } from '../../lib/nbd';
import { makeCertificate } from '../../lib/simulator/http/certificate';
import { startNbdServer } from '../../lib/simulator/nbd';
import { SESSION, TestPool } from '../simulator/transfer/transfer-pool';

export const mib = 1024 * 1024;
export const certificate = makeCertificate('nbd.test', ['127.0.0.1']);

export function serverAt(port: number, changes: Partial<NbdServer> = {}): NbdServer {
  return {
    address: '127.0.0.1',
    port,
    exportName: `/disk?session_id=${SESSION}`,
    certificatePem: certificate.certificatePem,
    subject: 'nbd.test',
    ...changes,
  };
}

export function openReader(
  servers: readonly NbdServer[],
  changes: Partial<NbdReaderOptions> = {},
): Promise<NbdReader> {
  return NbdReader.open({
    servers: () => Promise.resolve(servers),
    connections: 2,
    windowBytes: 2 * mib,
    requestBytesMax: 256 * 1024,
    failuresMax: 2,
    openFailuresMax: 1,
    reach: new NbdReach(),
    retryDelayMs: 1,
    timings: { connectMaxMs: 20_000, openMaxMs: 20_000, silenceMaxMs: 20_000 },
    signal: new AbortController().signal,
    ...changes,
  });
}

export async function readAll(reader: NbdReader, ranges: Iterable<NbdRange>): Promise<readonly NbdPiece[]> {
  const pieces = [];
  for await (const piece of reader.read(ranges)) pieces.push(piece);
  return pieces;
}

export function joined(pieces: readonly NbdPiece[]): Buffer {
  return Buffer.concat(pieces.map(({ data }) => data));
}

export interface SimulatedNbd extends AsyncDisposable {
  readonly pool: TestPool;
  readonly server: NbdServer;
  readonly content: Buffer;
}

/** The simulator's server with one disk of so many bytes, filled to its end. */
export async function simulatedNbd(sizeBytes = 4 * mib): Promise<SimulatedNbd> {
  const pool = await TestPool.open();
  pool.purpose = 'nbd';
  await pool.addVdi('disk', sizeBytes);
  const content = Buffer.alloc(sizeBytes, 'every sector of this disk differs from the next one; ');
  for (let at = 0; at < sizeBytes; at += 512) content.writeUInt32BE(at, at);
  await pool.store.write('disk', 0, content);
  const host = pool.hosts[0];
  if (host === undefined) throw new Error('the test pool has no host');
  const { keyPem: key, certificatePem: cert } = certificate;
  const nbd = await startNbdServer({ host, address: '127.0.0.1', port: 0, key, cert }, pool);
  return {
    pool,
    content,
    server: serverAt(nbd.port),
    async [Symbol.asyncDispose]() {
      await nbd.close();
      await pool.close();
    },
  };
}

/** Bytes of the protocol as a server sends them. */
export const say = {
  greeting: Buffer.from('NBDMAGICIHAVEOPT\0\x01', 'latin1'),
  optionReply(code: number, type: number): Buffer {
    const bytes = Buffer.alloc(20);
    bytes.writeBigUInt64BE(0x0003e889045565a9n, 0);
    bytes.writeUInt32BE(code, 8);
    bytes.writeUInt32BE(type, 12);
    return bytes;
  },
  exportHead(sizeBytes: number): Buffer {
    const bytes = Buffer.alloc(134);
    bytes.writeBigUInt64BE(BigInt(sizeBytes), 0);
    bytes.writeUInt16BE(3, 8);
    return bytes;
  },
  reply(handle: bigint, errno = 0, magic = 0x67446698): Buffer {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32BE(magic, 0);
    bytes.writeUInt32BE(errno, 4);
    bytes.writeBigUInt64BE(handle, 8);
    return bytes;
  },
};

export interface Request {
  readonly handle: bigint;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** What a fake server does at each stage; what is left out is done right. Null: it says nothing. */
export interface FakeScript {
  readonly greeting?: Buffer | null;
  /** Closes after the greeting. */
  readonly greetingEnds?: boolean;
  readonly startTls?: Buffer;
  readonly exportHead?: Buffer;
  /** What it shows; the one of these tests where absent. */
  readonly shown?: { readonly keyPem: string; readonly certificatePem: string };
  readonly answer?: (request: Request, socket: Socket) => void;
}

export interface FakeNbd extends AsyncDisposable {
  readonly port: number;
  /** Connections that came so far. */
  readonly connections: () => number;
}

export async function fakeNbd(script: FakeScript): Promise<FakeNbd> {
  const { keyPem: key, certificatePem: cert } = script.shown ?? certificate;
  const secureContext = createSecureContext({ key, cert });
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    if (script.greeting === null) return;
    socket.write(script.greeting ?? say.greeting);
    if (script.greetingEnds === true) socket.end();
    socket.once('data', () => {
      socket.write(script.startTls ?? say.optionReply(5, 1));
      const secure = new TLSSocket(socket, { isServer: true, secureContext });
      secure.on('error', () => undefined);
      secure.once('data', () => {
        secure.write(script.exportHead ?? say.exportHead(mib));
        secure.on('data', (chunk: Buffer) => answerAll(chunk, secure, script));
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function answerAll(chunk: Buffer, socket: Socket, script: FakeScript): void {
  for (let at = 0; at + 28 <= chunk.length; at += 28) {
    if (chunk.readUInt16BE(at + 6) === 2) {
      socket.end();
      return;
    }
    const handle = chunk.readBigUInt64BE(at + 8);
    const offsetBytes = Number(chunk.readBigUInt64BE(at + 16));
    const lengthBytes = chunk.readUInt32BE(at + 24);
    const right = (): void =>
      void socket.write(Buffer.concat([say.reply(handle), Buffer.alloc(lengthBytes, 7)]));
    if (script.answer === undefined) right();
    else script.answer({ handle, offsetBytes, lengthBytes }, socket);
  }
}
