import type { Credentials, TransferRequest } from './pool-side';

/**
 * Query and cookies of a transfer. Most parameters are looked up in the query first; credentials, task and SR in the cookie first.
 */
export class RequestParameters {
  readonly #query: readonly (readonly [string, string])[];
  readonly #cookies: readonly (readonly [string, string])[];
  readonly #headers: readonly (readonly [string, string])[];

  constructor(request: TransferRequest) {
    this.#query = request.query;
    this.#headers = request.headers;
    this.#cookies = cookiesOf(this.header('cookie') ?? '');
  }

  /** Query first. Of duplicate keys the first counts. */
  get(name: string): string | null {
    return first(this.#query, name) ?? first(this.#cookies, name);
  }

  cookieFirst(name: string): string | null {
    return first(this.#cookies, name) ?? first(this.#query, name);
  }

  header(name: string): string | null {
    return first(this.#headers, name);
  }

  /** Null: nothing that could be a credential. */
  credentials(): Credentials | null {
    const ref = this.cookieFirst('session_id');
    if (ref !== null) return { kind: 'session', ref };
    const basic = /^basic\s+(\S+)$/i.exec(this.header('authorization') ?? '')?.[1];
    if (basic === undefined) return null;
    const text = Buffer.from(basic, 'base64').toString('utf8');
    const colon = text.indexOf(':');
    return { kind: 'basic', username: text.slice(0, Math.max(0, colon)), password: text.slice(colon + 1) };
  }

  /** Null without the header, or when it is no number. */
  contentLength(): number | null {
    const text = this.header('content-length');
    return text !== null && /^\d+$/.test(text) ? Number(text) : null;
  }
}

function first(pairs: readonly (readonly [string, string])[], name: string): string | null {
  return pairs.find(([key]) => key === name)?.[1] ?? null;
}

/** Only `&` separates: whoever joins cookies with `;` gets one cookie with a strange value. */
function cookiesOf(header: string): (readonly [string, string])[] {
  return header
    .split('&')
    .filter((part) => part.includes('='))
    .map((part) => {
      const at = part.indexOf('=');
      return [decoded(part.slice(0, at)), decoded(part.slice(at + 1))] as const;
    });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A stray percent sign is taken as it stands.
    return text;
  }
}
