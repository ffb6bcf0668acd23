import type { Connection } from './connection';
import { ConnectionLostError } from './connection';
import { CopierError } from './copier';
import { damage } from './faults';
import type { TransferFault, TransferPool } from './pool-side';

/** Where the bytes of an export go. A write resolves when its buffer may be used again. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
}

/** The body of an export, with a fault at a byte of it. */
export class BodyWriter implements ByteSink {
  #position = 0;
  readonly #limit: number;

  constructor(
    private readonly connection: Connection,
    private readonly fault: TransferFault | null,
    private readonly pool: TransferPool,
  ) {
    this.#limit = fault !== null && 'afterBytes' in fault ? fault.afterBytes : Infinity;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const allowed = Math.min(bytes.byteLength, this.#limit - this.#position);
    await this.#send(allowed === bytes.byteLength ? bytes : bytes.subarray(0, allowed));
    if (allowed < bytes.byteLength) await this.#strike();
  }

  async #send(bytes: Uint8Array): Promise<void> {
    let out = bytes;
    if (this.fault?.kind === 'corrupt') {
      const index = this.fault.atByte - this.#position;
      if (index >= 0 && index < bytes.byteLength) {
        out = Buffer.from(bytes);
        damage(out, index);
      }
    }
    if (out.byteLength > 0) await this.connection.send(out);
    this.#position += out.byteLength;
    this.pool.countBytes('export', out.byteLength);
  }

  async #strike(): Promise<void> {
    if (this.fault?.kind === 'cut') this.connection.cut();
    else if (this.fault?.kind === 'stall') await this.connection.stall(this.pool.closing);
    else if (this.fault?.kind === 'error-page') throw new CopierError('a fault was asked for in the stream');
    throw new ConnectionLostError();
  }
}

/**
 * Reads the next piece while the last one is on its way: two buffers take turns, and a buffer is filled again only when its write
 * is done.
 */
export async function pump(
  pieces: number,
  buffers: readonly [Buffer, Buffer],
  fill: (piece: number, buffer: Buffer) => Promise<Uint8Array>,
  sink: ByteSink,
): Promise<void> {
  let onItsWay: Promise<void> = Promise.resolve();
  try {
    for (let piece = 0; piece < pieces; piece++) {
      const bytes = await fill(piece, buffers[piece % 2 === 0 ? 0 : 1]);
      await onItsWay;
      onItsWay = sink.write(bytes);
      // Its failure is awaited in the next turn; until then it must not count as unhandled.
      onItsWay.catch(() => undefined);
    }
  } finally {
    await onItsWay.catch(() => undefined);
  }
  await onItsWay;
}
