import { Xapi, type Transport } from 'xen-api';
import { parseAddress, parsePoolUrl, urlHostname, type HostAddress } from './address';
import { defaultTimeoutMs, isRead } from './bounds';
import type { CallOptions } from './call';
import { dial } from './dial';
import { CallDispatcher, type CallContext } from './dispatcher';
import type { PoolEndpoint } from './endpoint';
import { XapiError } from './errors';
import { callCancelled, callFailure, callTimeout, type CallFacts } from './failures';
import type { Trust } from './trust';

/** Names us in the pool's list of sessions, and keeps other programs' sessions from pushing ours out. */
const ORIGINATOR = 'xenrepl';
/** Ignored by every release, but its place comes before the originator's. */
const LOGIN_VERSION = '1.0';

export interface RpcOptions {
  readonly endpoint: PoolEndpoint;
  readonly trust: Trust;
  readonly onCall?: ((method: string, durationMs: number) => void) | undefined;
  /** Default `auto`. */
  readonly transport?: Transport;
}

/**
 * Messages to the coordinator through npm xen-api, whose transports speak JSON-RPC and, with old hosts, XML-RPC. Every
 * message, those that xen-api sends by itself included, passes through `send`: bounded, abortable, counted.
 *
 * xen-api's event loop stays off: after any network error it sleeps for a minute, in which no end of a task would be
 * seen, and it loads every task of the pool first. Tasks are polled instead.
 */
export class Rpc {
  readonly #xapi: Xapi;
  readonly #transmit: Xapi['_call'];
  readonly #dispatcher: CallDispatcher;
  readonly #options: RpcOptions;
  readonly #secure: boolean;
  readonly #closing = new AbortController();
  /** Bounds of the login that is going on: xen-api sends its messages without any. */
  #loginOptions: CallOptions = {};

  constructor(options: RpcOptions) {
    const { endpoint, trust } = options;
    const { secure, ...address } = parsePoolUrl(endpoint);
    this.#options = options;
    this.#secure = secure;
    const dialOptions = { poolName: endpoint.name, trust, secure, signal: this.#closing.signal };
    this.#dispatcher = new CallDispatcher((target) => dial(target, dialOptions));
    this.#xapi = new Xapi({
      url: `${secure ? 'https' : 'http'}://${urlHostname(address)}:${address.port}`,
      auth: { user: endpoint.username, password: undefined },
      watchEvents: false,
      callConcurrency: Infinity,
      syncStackTraces: false,
      transport: options.transport ?? 'auto',
    });
    // The constructor has made a transport of its own, which trusts whom it likes: this is how it gets ours.
    this.#xapi._undiciDispatcher = this.#dispatcher;
    this.#xapi._setUrl(this.#xapi._url);
    this.#transmit = this.#xapi._call.bind(this.#xapi);
    this.#xapi._call = (method, args = []) => this.#sendForXenApi(method, args);
  }

  /** The coordinator, as it is reached now: HOST_IS_SLAVE may have led away from the endpoint's URL. */
  get address(): HostAddress & { readonly secure: boolean } {
    const { hostname, port } = this.#xapi._url;
    return { ...parseAddress(hostname, Number(port)), secure: this.#secure };
  }

  /** True once the pool was left. */
  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  get sessionRef(): string | undefined {
    return this.#xapi._sessionId;
  }

  /** Ref of the pool, as read by the login. */
  get poolRef(): string {
    return String(this.#xapi.pool?.['$ref']);
  }

  /** Logs in, following HOST_IS_SLAVE once; again where the session has ended. Concurrent logins are one. */
  async login(options: CallOptions = {}): Promise<void> {
    const { endpoint } = this.#options;
    this.#loginOptions = options;
    this.#xapi._auth = { user: endpoint.username, password: await endpoint.password() };
    try {
      await (this.#xapi.status === 'connected' ? this.#xapi._sessionOpen() : this.#xapi.connect());
    } finally {
      this.#xapi._auth = { user: endpoint.username, password: undefined };
      this.#loginOptions = {};
    }
  }

  /**
   * Sends one message; `args` begin with the session where the message takes one.
   * @throws XapiError where the pool answered with an error, TransportError where it did not answer
   */
  async send(method: string, args: readonly unknown[], options: CallOptions = {}): Promise<unknown> {
    const { endpoint, onCall } = this.#options;
    const timeoutMs = options.timeoutMs ?? defaultTimeoutMs(method);
    const controller = new AbortController();
    const context: CallContext = { signal: controller.signal, sent: false };
    const facts = (): CallFacts => ({
      method,
      poolName: endpoint.name,
      sent: context.sent,
      readOnly: isRead(method),
    });
    if (options.signal?.aborted === true) throw callCancelled(facts());
    const startedMs = performance.now();
    const bound = new Promise<never>((_, reject) => {
      const stop = (error: Error): void => {
        reject(error);
        controller.abort(error);
      };
      const onAbort = (): void => stop(callCancelled(facts()));
      const timer = setTimeout(() => stop(callTimeout(timeoutMs, facts())), timeoutMs);
      options.signal?.addEventListener('abort', onAbort, { signal: controller.signal });
      controller.signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
    });
    try {
      const answer = this.#dispatcher.run(context, () =>
        // xen-api's own time-out must not come first: it would leave the socket open and say less.
        this.#transmit(method, args, timeoutMs + 60_000),
      );
      answer.catch(() => undefined);
      bound.catch(() => undefined);
      return await Promise.race([answer, bound]);
    } catch (error) {
      throw callFailure(error, facts());
    } finally {
      controller.abort();
      onCall?.(method, performance.now() - startedMs);
    }
  }

  /** Closes every socket; calls in flight fail. Does not log out. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#xapi._sessionId = undefined;
    await this.#xapi.disconnect();
    await this.#dispatcher.destroy();
  }

  async #sendForXenApi(method: string, args: readonly unknown[]): Promise<unknown> {
    const isLogin = method === 'session.login_with_password';
    try {
      return await this.send(
        method,
        isLogin ? [...args, LOGIN_VERSION, ORIGINATOR] : args,
        this.#loginOptions,
      );
    } catch (error) {
      if (error instanceof XapiError && error.code === 'HOST_IS_SLAVE') throw this.#prepareRedirect(error);
      throw error;
    }
  }

  /**
   * xen-api puts the error's parameter into its URL as a host name and keeps the port. A port in the parameter, or IPv6
   * without brackets, would make it connect to `localhost`.
   */
  #prepareRedirect(error: XapiError): XapiError {
    const coordinator = parseAddress(error.params[0] ?? '', Number(this.#xapi._url.port));
    this.#xapi._url = { ...this.#xapi._url, port: String(coordinator.port) };
    const { method, poolName } = error;
    return new XapiError({ code: error.code, params: [urlHostname(coordinator)], method, poolName });
  }
}
