import { VhdError } from './errors';
import { hasText } from './fields';
import { footerBytes, footerCookie, parseFooter } from './footer';
import { sectorBytes } from './geometry';
import type { Reading } from './reading';
import { oldFooter, refuseOtherBody } from './refusals';
import { Collected, HeldBack, Sectors } from './stretches';
import type { Walk } from './walk';

/** Reads a fixed image: all of it is data, but for the footer at the end. */
export class FixedReader {
  readonly #walk: Walk;
  readonly #reading: Reading;

  constructor(walk: Walk, reading: Reading) {
    this.#walk = walk;
    this.#reading = reading;
  }

  /** @param first the first 512 bytes of the stream, already read */
  start(first: Uint8Array): void {
    const { lengthBytes } = this.#reading;
    const bodyBytes = lengthBytes === null ? null : this.#reading.settleLength(footerBytes) - footerBytes;
    if (bodyBytes === 0) {
      this.#readFooter(first, 0);
      return;
    }
    const body = bodyBytes === null ? this.#heldBack() : this.#wholeBody(bodyBytes);
    body.take(first);
  }

  /** At the end of a stream of unknown length: now its last 512 bytes are known to be the footer. */
  end(body: HeldBack): void {
    const position = this.#walk.positionBytes;
    const rest = body.held.length % sectorBytes;
    if (rest === 0) {
      this.#readFooter(body.held, position - footerBytes);
      return;
    }
    if (rest === sectorBytes - 1 && hasText(body.held.subarray(body.held.length - rest), footerCookie)) {
      throw oldFooter(position - rest);
    }
    throw new VhdError(
      'truncated',
      position,
      `The fixed VHD is cut short: the stream ended after ${position} bytes, expected a multiple of 512`,
    );
  }

  #heldBack(): HeldBack {
    const body = new HeldBack(this.#reading.emitData);
    this.#walk.enter('data of the fixed disk', body, () => undefined);
    return body;
  }

  #wholeBody(bodyBytes: number): Sectors {
    const everySector = new Uint8Array(0); // a bitmap without bits has none that is clear
    const body = new Sectors(bodyBytes, 0, everySector, this.#reading.emitData);
    this.#walk.enter('data of the fixed disk', body, () => {
      this.#walk.enter('last footer', new Collected(footerBytes), ({ bytes }) => {
        this.#readFooter(bytes, bodyBytes);
      });
    });
    return body;
  }

  #readFooter(bytes: Uint8Array, offsetBytes: number): void {
    const footer = parseFooter(bytes, offsetBytes);
    refuseOtherBody(footer, offsetBytes);
    this.#reading.settleSize(footer.sizeBytes, offsetBytes);
    this.#reading.emitHeader({
      diskType: 'fixed',
      blockSizeBytes: 0,
      blocksPresent: 0,
      lengthBytes: offsetBytes + footerBytes,
      uniqueId: footer.uniqueId,
      parentUniqueId: null,
    });
    this.#reading.complete(this.#walk);
  }
}
