import type { CallOptions } from './call';
import type { Received } from './dial';
import { TransportError, type XapiError } from './errors';
import { cancelled } from './failures';
import type { ResponseHead } from './http-head';
import type { Inlet } from './inlet';
import type { Ref } from './refs';
import type { Caller } from './session';
import { destroyTask, taskEnded, taskFailure, watchTask } from './task';
import type { Wire } from './wire';

/** How long the task is asked for the true reason of a broken connection; some never end (a session that was refused). */
const REASON_TIMEOUT_MS = 10_000;
/** A server notices a closed connection within milliseconds; one that does not is not waited for. */
const END_TIMEOUT_MS = 2_000;

export interface TransferFacts {
  readonly session: Caller;
  readonly task: Ref<'task'>;
  readonly poolName: string;
  /** `GET /export_raw_vdi` or `PUT /import_raw_vdi`. */
  readonly method: string;
  /** How long the task may take after the last byte. */
  readonly outcomeTimeoutMs: number;
  /** Ends the whole transfer, not only its opening. */
  readonly signal: AbortSignal | undefined;
}

/**
 * What uploads and downloads have in common: a connection, a task that alone knows the outcome, and an end at which neither
 * is left behind.
 */
export class RunningTransfer {
  readonly wire: Wire;
  /** What is received, from behind the head of the answer on. */
  readonly inlet: Inlet;
  readonly #facts: TransferFacts;
  readonly #closing = new AbortController();
  #onClose: () => void = () => undefined;
  #closed: Promise<void> | undefined;
  #succeeded = false;

  constructor({ wire, inlet }: Received, facts: TransferFacts) {
    this.wire = wire;
    this.inlet = inlet;
    this.#facts = facts;
    // Whoever reads or writes sees the error there; without a listener it would end the process in between.
    wire.on('error', () => undefined);
    if (facts.signal?.aborted === true) this.#onAbort();
    else facts.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Registers what to do when nothing is left of this transfer. */
  onClose(action: () => void): void {
    this.#onClose = action;
  }

  /** Waits for the task to succeed. */
  async outcome(options: CallOptions = {}): Promise<void> {
    const signals = [options.signal, this.#facts.signal, this.#closing.signal];
    await watchTask(this.#facts.session, this.#facts.task, {
      ...this.#facts,
      signal: AbortSignal.any(signals.filter((signal) => signal !== undefined)),
      timeoutMs: options.timeoutMs ?? this.#facts.outcomeTimeoutMs,
    });
    this.#succeeded = true;
  }

  /** The task's own error, where it ends with one soon; else the transport's. */
  explain(error: TransportError): Promise<XapiError | TransportError> {
    return explainFailure(error, this.#facts);
  }

  /** A socket's error as one of ours. */
  lost(error: Error | null): TransportError {
    if (error instanceof TransportError) return error;
    return new TransportError({
      kind: 'connection',
      retry: 'later',
      what: `the connection of ${this.#facts.method} was lost (${error?.message ?? 'closed by the server'})`,
      hint: 'what was sent and not yet confirmed has to be sent again',
      poolName: this.#facts.poolName,
      cause: error ?? undefined,
    });
  }

  /** Closes the connection and destroys the task; idempotent, never throws. */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    this.#facts.signal?.removeEventListener('abort', this.#onAbort);
    this.#onAbort();
    this.#closing.abort();
    // A pending task would only be marked, and the disk still be held by it: first let the server come to its end.
    if (!this.#succeeded) {
      await taskEnded(this.#facts.session, this.#facts.task, {
        ...this.#facts,
        signal: undefined,
        timeoutMs: END_TIMEOUT_MS,
      });
    }
    await destroyTask(this.#facts.session, this.#facts.task);
    this.#onClose();
  }

  readonly #onAbort = (): void => {
    this.wire.destroy(cancelled(this.#facts.method, this.#facts.poolName));
  };
}

/** The task's own error, where it ends with one soon; else the given one. */
export async function explainFailure(
  error: TransportError,
  facts: TransferFacts,
): Promise<XapiError | TransportError> {
  // Where the session was refused (retry now) the task was not looked at and stays pending.
  const taskMayKnow = error.kind === 'connection' || (error.kind === 'http' && error.retry !== 'now');
  if (!taskMayKnow) return error;
  return (await taskFailure(facts.session, facts.task, { ...facts, timeoutMs: REASON_TIMEOUT_MS })) ?? error;
}

/** What a status other than 200 means. The head says little: the task is asked as well, except for 401. */
export function statusFailure(head: ResponseHead, method: string, poolName: string): TransportError {
  const what = `${method} was answered with HTTP ${head.status} ${head.statusText}`;
  if (head.status === 401) {
    const hint = 'the pool no longer takes the session; the next call logs in again';
    return new TransportError({ kind: 'http', retry: 'now', what, hint, poolName });
  }
  if (head.status === 403) {
    const hint = 'the role vm-admin is needed to read and write disks';
    return new TransportError({ kind: 'http', retry: 'never', what, hint, poolName });
  }
  const hint = 'look at /var/log/xensource.log of the host';
  return new TransportError({ kind: 'http', retry: 'later', what, hint, poolName });
}
