import { ADVICE, type Advice, type Retry } from './error-table';

export type { Advice, Retry } from './error-table';

/** What to make of a XAPI error code. A code that nobody listed is retried later, once the pool was looked at again. */
export function classify(code: string): Advice {
  const known = ADVICE[code];
  if (known !== undefined) return known;
  if (code.startsWith('SR_BACKEND_FAILURE_'))
    return { retry: 'later', hint: 'the storage driver failed; its text says why' };
  return { retry: 'later', hint: 'look at the pool again; the code is XAPI’s own' };
}

export interface XapiFailure {
  readonly code: string;
  readonly params: readonly string[];
  /** The call that failed, or the transfer (`GET /export_raw_vdi`). */
  readonly method: string;
  readonly poolName: string;
}

/** The pool answered, and the answer is an error: its code decides what may be done. */
export class XapiError extends Error {
  readonly code: string;
  readonly params: readonly string[];
  readonly method: string;
  readonly retry: Retry;
  readonly hint: string;
  readonly poolName: string;

  constructor(failure: XapiFailure) {
    const { retry, hint } = classify(failure.code);
    // A session that one host calls invalid may still open another.
    const isSession = failure.code === 'SESSION_INVALID' || failure.params[0] === 'session';
    const params = isSession ? failure.params.map(hideRef) : failure.params.map(redact);
    super(
      `${failure.method} failed on pool "${failure.poolName}": ${failure.code}(${params.join(', ')}): ${hint}`,
    );
    this.name = 'XapiError';
    this.code = failure.code;
    this.params = params;
    this.method = failure.method;
    this.retry = retry;
    this.hint = hint;
    this.poolName = failure.poolName;
  }
}

export type TransportKind = 'timeout' | 'aborted' | 'connection' | 'tls' | 'http' | 'protocol';

export interface TransportFailure {
  readonly kind: TransportKind;
  readonly retry: Retry;
  /** What failed, on what. */
  readonly what: string;
  /** What to do next. */
  readonly hint: string;
  readonly poolName: string;
  readonly cause?: unknown;
}

/** The pool did not answer, or not in a way that can be trusted: sockets, time-outs, TLS refusal, HTTP status. */
export class TransportError extends Error {
  readonly kind: TransportKind;
  readonly retry: Retry;
  readonly hint: string;
  readonly poolName: string;

  constructor(failure: TransportFailure) {
    const message = redact(`pool "${failure.poolName}": ${failure.what}: ${failure.hint}`);
    super(message, failure.cause === undefined ? undefined : { cause: failure.cause });
    this.name = 'TransportError';
    this.kind = failure.kind;
    this.retry = failure.retry;
    this.hint = failure.hint;
    this.poolName = failure.poolName;
  }
}

function hideRef(text: string): string {
  return text.replace(/OpaqueRef:[\w-]+/g, 'OpaqueRef:***');
}

/**
 * Strips what opens a pool from a text that will be shown: session refs in a query and passwords in a URL.
 * A session ref is as good as a password until it is logged out.
 */
export function redact(text: string): string {
  return text.replace(/(session_id=)[^&\s"']+/gi, '$1***').replace(/(\/\/)[^/\s@"']*@/g, '$1***@');
}
