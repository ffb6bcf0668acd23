import { TransportError, XapiError } from './errors';

/** What is known about a call when it fails. */
export interface CallFacts {
  readonly method: string;
  readonly poolName: string;
  /** Whether the request may have reached the server. */
  readonly sent: boolean;
  readonly readOnly: boolean;
}

const UNKNOWN_OUTCOME =
  'the call may have been carried out or not: look at the pool again before repeating it';

/** Turns whatever xen-api, undici or Node threw into one of our two errors, which say what is known of the outcome. */
export function callFailure(error: unknown, facts: CallFacts): XapiError | TransportError {
  const { method, poolName } = facts;
  if (error instanceof TransportError || error instanceof XapiError) return error;
  const { code, params } = fields(error);
  if (typeof code === 'string' && Array.isArray(params))
    return new XapiError({ code, params: params.map(String), method, poolName });
  const cause = error instanceof Error ? error : new Error(String(error));
  const status = /^unexpect statusCode (\d+)$/.exec(cause.message)?.[1];
  if (status !== undefined) {
    return new TransportError({
      kind: 'http',
      retry: 'later',
      what: `${method} was answered with HTTP status ${status}`,
      hint: status === '500' ? outcome(facts, 'the pool could not read the call') : 'is this a XenServer?',
      poolName,
    });
  }
  if (isSocketError(cause)) {
    return new TransportError({
      kind: 'connection',
      retry: 'later',
      what: `the connection was lost during ${method} (${cause.message})`,
      hint: outcome(facts, 'nothing was done'),
      poolName,
      cause,
    });
  }
  return new TransportError({
    kind: 'protocol',
    retry: 'later',
    what: `${method} was answered with something that is no XAPI reply (${cause.message.slice(0, 200)})`,
    hint: outcome(facts, 'is this a XenServer?'),
    poolName,
    cause,
  });
}

/** A call that hit its bound. */
export function callTimeout(timeoutMs: number, facts: CallFacts): TransportError {
  return new TransportError({
    kind: 'timeout',
    retry: 'later',
    what: `${facts.method} was not answered within ${timeoutMs} ms`,
    hint: outcome(facts, 'the pool is slow or the line is cut'),
    poolName: facts.poolName,
  });
}

/** A call or wait that its caller cancelled. */
export function cancelled(what: string, poolName: string, hint = 'cancelled by the caller'): TransportError {
  return new TransportError({ kind: 'aborted', retry: 'never', what, hint, poolName });
}

/** A call that its caller cancelled. */
export function callCancelled(facts: CallFacts): TransportError {
  return cancelled(facts.method, facts.poolName, outcome(facts, 'cancelled by the caller'));
}

function outcome(facts: CallFacts, otherwise: string): string {
  return facts.sent && !facts.readOnly ? UNKNOWN_OUTCOME : otherwise;
}

function fields(error: unknown): { readonly code?: unknown; readonly params?: unknown } {
  return typeof error === 'object' && error !== null ? error : {};
}

function isSocketError(error: Error): boolean {
  const { code } = fields(error);
  return typeof code === 'string' && /^(E[A-Z]+|UND_ERR_\w+)$/.test(code);
}
