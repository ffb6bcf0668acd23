import { Xapi, type Transport } from 'xen-api';
import { parseAddress, parsePoolUrl, urlHostname, type HostAddress } from './address';
import { defaultTimeoutMs, isRead } from './bounds';
import type { CallOptions } from './call';
import { dial } from './dial';
import { CallContext, CallDispatcher } from './dispatcher';
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
  readonly #dispatcher: CallDispatcher;
  readonly #options: RpcOptions;
  readonly #secure: boolean;
  readonly #closing = new AbortController();
  #transport: Exclude<Transport, 'auto'>;
  /** Bounds of the login that is going on: xen-api sends its messages without any. */
  #loginOptions: CallOptions = {};

  constructor(options: RpcOptions) {
    const { endpoint, trust } = options;
    const { secure, ...address } = parsePoolUrl(endpoint);
    this.#options = options;
    this.#secure = secure;
    const dialOptions = { poolName: endpoint.name, trust, secure, signal: this.#closing.signal };
    this.#dispatcher = new CallDispatcher((target) => dial(target, dialOptions));
    const { transport = 'auto' } = options;
    this.#transport = transport === 'auto' ? 'json-rpc' : transport;
    const url = `${secure ? 'https' : 'http'}://${urlHostname(address)}:${address.port}`;
    this.#xapi = xapiOf(url, endpoint, this.#transport);
    // The constructor has made a transport of its own, which trusts whom it likes: this is how it gets ours.
    this.#xapi._undiciDispatcher = this.#dispatcher;
    this.#xapi._setUrl(this.#xapi._url);
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
    const context = new CallContext();
    const facts = (): CallFacts => ({
      method,
      poolName: endpoint.name,
      sent: context.sent,
      readOnly: isRead(method),
    });
    if (options.signal?.aborted === true) throw callCancelled(facts());
    const startedMs = performance.now();
    try {
      const answer = this.#exchange(method, args, context);
      return await bounded(answer, context, { signal: options.signal, timeoutMs, facts });
    } catch (error) {
      throw callFailure(error, facts());
    } finally {
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

  /**
   * Below xen-api's `_call`, which copies the arguments for its log and makes a time-out with a stack for each call; ours comes
   * first in any case. Its transport `auto` would make its second request, in XML, later than the dispatcher can tell whose it is;
   * so the fall-back of old hosts, which know no JSON-RPC and answer it in XML, is here.
   */
  async #exchange(method: string, args: readonly unknown[], context: CallContext): Promise<unknown> {
    const transmit = (): Promise<unknown> =>
      this.#dispatcher.run(context, () => this.#xapi._transport(method, args));
    const transport = this.#transport;
    try {
      return await transmit();
    } catch (error) {
      const mayChange = (this.#options.transport ?? 'auto') === 'auto' && transport === 'json-rpc';
      if (!mayChange || !isUnsupported(error)) throw error;
      this.#speakXml();
      return await transmit();
    }
  }

  #speakXml(): void {
    if (this.#transport === 'xml-rpc') return;
    this.#transport = 'xml-rpc';
    // xen-api chooses its transport when it is made, and keeps it over redirects.
    const { _createTransport } = xapiOf('https://localhost', this.#options.endpoint, 'xml-rpc');
    this.#xapi._createTransport = _createTransport;
    this.#xapi._setUrl(this.#xapi._url);
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

function xapiOf(url: string, { username }: PoolEndpoint, transport: Transport): Xapi {
  return new Xapi({
    url,
    auth: { user: username, password: undefined },
    watchEvents: false,
    callConcurrency: Infinity,
    syncStackTraces: false,
    transport,
  });
}

/** A host that answers JSON-RPC in another language. */
function isUnsupported(error: unknown): boolean {
  return error instanceof Error && error.name === 'UnsupportedTransport';
}

interface Bounds {
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
  readonly facts: () => CallFacts;
}

/** Settles as `answer` does, or ends the call at its bound or with its caller's wish. */
function bounded<T>(answer: Promise<T>, context: CallContext, bounds: Bounds): Promise<T> {
  const { signal, timeoutMs, facts } = bounds;
  return new Promise((resolve, reject) => {
    const stop = (error: Error): void => {
      release();
      reject(error);
      context.cancel(error);
    };
    const onAbort = (): void => stop(callCancelled(facts()));
    const timer = setTimeout(() => stop(callTimeout(timeoutMs, facts())), timeoutMs);
    const release = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    answer.finally(release).then(resolve, reject);
  });
}
