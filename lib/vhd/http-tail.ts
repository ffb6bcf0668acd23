import { asciiText } from './fields';

/** Error pages of XAPI are 445 to 1015 bytes long, and at most two of them follow each other. */
const tailBytesMax = 4096;

/** Status line of an answer of HTTP with an error status, followed by its headers and their end. */
const errorAnswer = /HTTP\/1\.[01] ([45]\d\d[^\r\n]*)\r\n(?:[A-Za-z-]+:[^\r\n]*\r\n)+\r\n/;

/** An HTTP error found where VHD bytes were expected. */
export interface HttpError {
  readonly offsetBytes: number;
  readonly statusLine: string;
}

/**
 * Remembers the last bytes of the stream. XAPI sends its 200 before it reads the disk; what fails later is told
 * by a second HTTP answer, written into the body. It then stands where data should, and only the end of the
 * stream betrays it: looking for it there turns "cut short" into the reason.
 */
export class HttpTail {
  readonly #ring = new Uint8Array(tailBytesMax);
  #receivedBytes = 0;

  add(chunk: Uint8Array): void {
    const last = chunk.subarray(Math.max(0, chunk.length - tailBytesMax));
    const at = (this.#receivedBytes + chunk.length - last.length) % tailBytesMax;
    const untilWrap = last.subarray(0, tailBytesMax - at);
    this.#ring.set(untilWrap, at);
    this.#ring.set(last.subarray(untilWrap.length), 0);
    this.#receivedBytes += chunk.length;
  }

  /** The first HTTP error among the last bytes, at or after a position in the stream. */
  find(minOffsetBytes: number): HttpError | null {
    const startBytes = Math.max(minOffsetBytes, this.#receivedBytes - tailBytesMax, 0);
    const text = this.#textFrom(startBytes);
    const match = errorAnswer.exec(text);
    if (match === null) {
      return null;
    }
    return { offsetBytes: startBytes + match.index, statusLine: match[1] ?? '' };
  }

  #textFrom(startBytes: number): string {
    const bytes = new Uint8Array(Math.max(0, this.#receivedBytes - startBytes));
    for (let i = 0; i < bytes.length; i += 1) {
      bytes[i] = this.#ring[(startBytes + i) % tailBytesMax] ?? 0;
    }
    return asciiText(bytes);
  }
}
