import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { SESSION } from './transfer-pool';
import type { TransferServer } from './transfer-server';

export interface Answer {
  /** Status lines of all HTTP messages in the connection, in order. */
  readonly statuses: readonly string[];
  readonly head: readonly string[];
  /** What came after the first head. */
  readonly body: Buffer;
}

export interface Sending {
  readonly headers?: readonly string[];
  readonly body?: Buffer;
  /** `half`: our side is closed after the body. `drop`: the socket is destroyed after the body. Else the server closes first. */
  readonly finish?: 'half' | 'drop';
  /** Without the test session in the query. */
  readonly anonymous?: boolean;
}

/** Sends one request with the test session and reads until the server closes. */
export async function send(
  server: TransferServer,
  method: string,
  path: string,
  query: Record<string, string>,
  sending: Sending = {},
): Promise<Answer> {
  const socket = open(server);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  socket.write(
    requestHead(
      method,
      path,
      sending.anonymous === true ? query : { session_id: SESSION, ...query },
      sending.headers,
    ),
  );
  const body = sending.body ?? Buffer.alloc(0);
  if (sending.finish === 'half') socket.end(body);
  else if (sending.finish === 'drop') socket.write(body, () => socket.destroy());
  else if (body.length > 0) socket.write(body);
  await closed;
  return answerOf(Buffer.concat(chunks));
}

export function open(server: TransferServer): Socket {
  return connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }).on(
    'end',
    function (this: Socket) {
      this.end();
    },
  );
}

export function requestHead(
  method: string,
  path: string,
  query: Record<string, string>,
  headers: readonly string[] = [],
): string {
  const target = `${path}?${new URLSearchParams(query).toString()}`;
  return [`${method} ${target} HTTP/1.1`, 'Host: x', ...headers, '', ''].join('\r\n');
}

export function answerOf(bytes: Buffer): Answer {
  const end = bytes.indexOf('\r\n\r\n');
  return {
    statuses: bytes.toString('latin1').match(/HTTP\/1\.[01] \d{3} [^\r]*/g) ?? [],
    head: bytes.toString('latin1', 0, Math.max(0, end)).split('\r\n'),
    body: bytes.subarray(end + 4),
  };
}

/** One frame of a framed upload; without data and offset it is the terminator. */
export function frame(offset: number, data: Buffer = Buffer.alloc(0), length = data.length): Buffer {
  const header = Buffer.alloc(12);
  header.writeBigUInt64LE(BigInt(offset), 0);
  header.writeUInt32LE(length, 8);
  return Buffer.concat([header, data]);
}

export const TERMINATOR = frame(0);
