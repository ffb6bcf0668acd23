import { isRead } from './bounds';
import type { CallOptions } from './call';
import { TransportError, XapiError } from './errors';
import { cancelled } from './failures';
import type { MethodName, Params, Result } from './methods';
import { normalise } from './normalise';
import type { Ref } from './refs';
import type { Rpc } from './rpc';
import { untilAborted } from './wait';

/** Whoever can send a typed message: what watching a task needs of a session. */
export type Caller = Pick<Session, 'call'>;

/** @param repeated whether an attempt before was lost, with its session or with its connection */
export type ParamsOf<P> = (session: Ref<'session'>, repeated: boolean) => P;

/**
 * Calls with a session, which is renewed when the pool has dropped it (a restart of the toolstack, a day of silence). Reads
 * are then asked once more; a call that changes something never is: its caller looks at the pool first.
 */
export class Session {
  readonly #rpc: Rpc;
  readonly #poolName: string;
  #stale: string | undefined;
  #renewal: Promise<void> | undefined;

  constructor(rpc: Rpc, poolName: string) {
    this.#rpc = rpc;
    this.#poolName = poolName;
  }

  /** The present session. It is as good as a password until it is logged out: keep it out of every log. */
  get ref(): Ref<'session'> {
    return (this.#rpc.sessionRef ?? '') as Ref<'session'>;
  }

  async call<M extends MethodName>(
    method: M,
    params: Params<M>,
    options: CallOptions = {},
  ): Promise<Result<M>> {
    return normalise(method, await this.send(method, params, options)) as Result<M>;
  }

  /** As `call`, for parameters that hold good for one session, or one connection, only: they are asked for at each attempt. */
  async callEach<M extends MethodName>(
    method: M,
    paramsOf: ParamsOf<Params<M>>,
    options: CallOptions = {},
  ): Promise<Result<M>> {
    return normalise(method, await this.#send(method, paramsOf, options)) as Result<M>;
  }

  /** As `call`, for messages outside the typed table (`Async.…`): the answer is handed out as it came. */
  send(method: string, params: readonly unknown[], options: CallOptions = {}): Promise<unknown> {
    return this.#send(method, () => params, options);
  }

  async #send(
    method: string,
    paramsOf: ParamsOf<readonly unknown[]>,
    options: CallOptions,
  ): Promise<unknown> {
    // A restart of the toolstack shows as a cut connection first and as an unknown session then: each heals once.
    const healed = new Set<string>();
    for (;;) {
      const session = await this.#valid(options);
      try {
        const params = paramsOf(session as Ref<'session'>, healed.size > 0);
        return await this.#rpc.send(method, [session, ...params], options);
      } catch (error) {
        const ailment = sessionEnded(error) ? 'session' : connectionLost(error) ? 'connection' : null;
        if (ailment === 'session') this.markEnded(session);
        if (ailment === null || !isRead(method) || healed.has(ailment)) throw error;
        healed.add(ailment);
      }
    }
  }

  /** Tells that the pool no longer takes this session: the next call logs in again. */
  markEnded(session: string): void {
    this.#stale = session;
  }

  /** Logs out, within `timeoutMs`; a pool that cannot be reached drops the session itself after a day. */
  async logout(timeoutMs: number): Promise<void> {
    const session = this.#rpc.sessionRef;
    if (session === undefined || session === this.#stale) return;
    await this.#rpc.send('session.logout', [session], { timeoutMs }).catch(() => undefined);
  }

  async #valid(options: CallOptions): Promise<string> {
    const present = this.#rpc.sessionRef;
    // While somebody logs in, and after that has failed, there is none: only leaving the pool means that for good.
    const ended = this.#renewal !== undefined || present === undefined || present === this.#stale;
    if (ended && !this.#rpc.closed) {
      // Not bound to the first caller's signal: others wait for the same login.
      this.#renewal ??= this.#rpc.login().finally(() => {
        this.#renewal = undefined;
      });
      await this.#withinBounds(this.#renewal, options);
    }
    const session = this.#rpc.sessionRef;
    if (session !== undefined) return session;
    throw new TransportError({
      kind: 'connection',
      retry: 'never',
      what: 'not logged in',
      hint: 'disconnect() was called',
      poolName: this.#poolName,
    });
  }

  #withinBounds(renewal: Promise<void>, { signal, timeoutMs }: CallOptions): Promise<void> {
    const bound = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
    const signals = [signal, bound].filter((candidate) => candidate !== undefined);
    return untilAborted(renewal, AbortSignal.any(signals), () =>
      signal?.aborted === true
        ? cancelled('logging in again', this.#poolName)
        : new TransportError({
            kind: 'timeout',
            retry: 'later',
            what: `no new login within ${timeoutMs ?? 0} ms`,
            hint: 'nothing was done',
            poolName: this.#poolName,
          }),
    );
  }
}

/** The session is gone, or the coordinator has moved and its sessions with it: both are healed by a login. */
function sessionEnded(error: unknown): boolean {
  return error instanceof XapiError && (error.code === 'SESSION_INVALID' || error.code === 'HOST_IS_SLAVE');
}

function connectionLost(error: unknown): boolean {
  return error instanceof TransportError && error.kind === 'connection';
}
