import { urlHostname, type HostAddress } from './address';

/** Request line and headers together: above this, hosts since xapi 22.30 answer 431. */
const MAX_REQUEST_HEAD_BYTES = 1024;
/** Response heads are about 250 bytes; what grows beyond this is no HTTP. */
const MAX_RESPONSE_HEAD_BYTES = 16 * 1024;

export interface RequestTarget {
  readonly method: 'GET' | 'PUT';
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
}

export interface ResponseHead {
  readonly status: number;
  /** As the server phrased it, for messages. */
  readonly statusText: string;
  /** Names in lower case; of repeated ones the first. */
  readonly headers: ReadonlyMap<string, string>;
}

/**
 * The head of a transfer request. It announces neither a length nor chunked coding: xapi refuses the latter, and frames
 * say themselves where they end.
 * @throws RangeError where it is larger than a host accepts
 */
export function formatRequestHead(target: RequestTarget, address: HostAddress, defaultPort: number): string {
  const query = new URLSearchParams(target.query).toString();
  const port = address.port === defaultPort ? '' : `:${address.port}`;
  const head =
    `${target.method} ${target.path}?${query} HTTP/1.1\r\n` +
    `Host: ${urlHostname(address)}${port}\r\n` +
    'User-Agent: xenrepl\r\n' +
    'Connection: close\r\n\r\n';
  if (head.length >= MAX_REQUEST_HEAD_BYTES)
    throw new RangeError(
      `the head of ${target.method} ${target.path} has ${head.length} bytes; a host takes less than ${MAX_REQUEST_HEAD_BYTES}`,
    );
  return head;
}

/** Collects the head of a response from the pieces in which it arrives. */
export class ResponseHeadReader {
  #received: Buffer = Buffer.alloc(0);

  /**
   * Takes the next piece; returns the head and the bytes after it once it is complete.
   * @throws SyntaxError where this is no HTTP response
   */
  push(piece: Uint8Array): { readonly head: ResponseHead; readonly rest: Buffer } | null {
    this.#received = Buffer.concat([this.#received, piece]);
    const start = this.#received.subarray(0, 5).toString('latin1');
    if (!'HTTP/'.startsWith(start)) throw new SyntaxError('the answer is not HTTP');
    const end = this.#received.indexOf('\r\n\r\n');
    if (end === -1) {
      if (this.#received.length <= MAX_RESPONSE_HEAD_BYTES) return null;
      throw new SyntaxError(`the head of the answer is longer than ${MAX_RESPONSE_HEAD_BYTES} bytes`);
    }
    const head = parseResponseHead(this.#received.subarray(0, end).toString('latin1'));
    return { head, rest: this.#received.subarray(end + 4) };
  }
}

function parseResponseHead(text: string): ResponseHead {
  const [statusLine = '', ...lines] = text.split('\r\n');
  const match = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/.exec(statusLine);
  if (match === null) throw new SyntaxError(`not the status line of an answer: "${statusLine.slice(0, 80)}"`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0)).trim().toLowerCase();
    if (!headers.has(name)) headers.set(name, line.slice(colon + 1).trim());
  }
  return { status: Number(match[1]), statusText: match[2] ?? '', headers };
}
