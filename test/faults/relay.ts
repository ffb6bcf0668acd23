/** A line between the engine and a pool's coordinator that can break. */
import { createServer, connect } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { SimulatedPool } from '../../lib/simulator';
import type { PoolEndpoint } from '../../lib/xapi';
import { endpointOf } from '../engine/site';

/** What breaks once a connection has carried so many bytes, in one direction: towards the pool (`up`) or from it. */
export interface Break {
  readonly direction: 'up' | 'down';
  readonly afterBytes: number;
  /** `cut`: every connection of the line ends; `flip`: one bit of that byte is turned over; `silence`: nothing comes through any more. */
  readonly how: 'cut' | 'flip' | 'silence';
  /** After a cut nobody can connect through this line any more. Default false. */
  readonly forGood?: boolean;
}

interface Line {
  broken: boolean;
  /** Whoever connects is turned away. */
  closed: boolean;
}

export class Relay implements AsyncDisposable {
  readonly endpoint: PoolEndpoint;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  readonly #line: Line;

  private constructor(server: Server, pool: SimulatedPool, sockets: Set<Socket>, line: Line) {
    const { port } = server.address() as AddressInfo;
    this.#server = server;
    this.#sockets = sockets;
    this.#line = line;
    this.endpoint = { ...endpointOf(pool), url: `https://127.0.0.1:${String(port)}` };
  }

  /** True once the line has broken. */
  get broken(): boolean {
    return this.#line.broken;
  }

  /** @param fault null: nothing breaks until `cut` is called */
  static async open(pool: SimulatedPool, fault: Break | null): Promise<Relay> {
    const sockets = new Set<Socket>();
    const line: Line = { broken: false, closed: false };
    const server = createServer((client) => {
      if (line.closed) {
        client.destroy();
        return;
      }
      const { hostname, port } = new URL(pool.url);
      const upstream = connect({ host: hostname, port: Number(port) });
      for (const socket of [client, upstream]) {
        sockets.add(socket);
        socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
      }
      carry(client, upstream, fault?.direction === 'up' ? strikeAt(fault, line, sockets) : pass);
      carry(upstream, client, fault?.direction === 'down' ? strikeAt(fault, line, sockets) : pass);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Relay(server, pool, sockets, line);
  }

  /** Ends every connection, as a cut that was asked for at a byte does; resolves when none is left. */
  cut(forGood: boolean): Promise<void> {
    this.#line.broken = true;
    this.#line.closed = forGood;
    const closed = [...this.#sockets].map(
      (socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())),
    );
    for (const socket of this.#sockets) socket.destroy();
    return Promise.all(closed).then(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** What becomes of a piece: other bytes, or null where nothing goes on. */
type Carrier = (piece: Buffer) => Buffer | null;

const pass: Carrier = (piece) => piece;

function carry(from: Socket, to: Socket, through: Carrier): void {
  from.on('data', (piece: Buffer) => {
    const bytes = through(piece);
    if (bytes === null || bytes.length === 0) return;
    if (!to.write(bytes)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
  });
  from.on('end', () => to.end());
  from.on('close', () => to.destroy());
}

/** Counts one connection; the line breaks once only, whichever connection comes so far first. */
function strikeAt(
  { afterBytes, how, forGood = false }: Break,
  line: Line,
  sockets: ReadonlySet<Socket>,
): Carrier {
  let carried = 0;
  let silent = false;
  return (piece) => {
    if (silent) return null;
    const place = afterBytes - carried;
    carried += piece.length;
    if (line.broken || place < 0 || place >= piece.length) return piece;
    line.broken = true;
    if (how === 'flip') {
      const bytes = Buffer.from(piece);
      bytes[place] = (bytes[place] ?? 0) ^ 1;
      return bytes;
    }
    silent = true;
    if (how === 'silence') return piece.subarray(0, place);
    line.closed = forGood;
    for (const socket of sockets) socket.destroy();
    return null;
  };
}
