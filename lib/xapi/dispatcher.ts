import { AsyncLocalStorage } from 'node:async_hooks';
import type { Socket } from 'node:net';
import { Agent } from 'undici';
import { parseAddress, type HostAddress } from './address';

/** Bytes of one answer at most: a pool of thousands of VMs stays far below, a runaway server does not fill the memory. */
const MAX_RESPONSE_BYTES = 256 * 1024 * 1024;
/** Sockets to the coordinator at once; further calls wait in line. xapi takes 800 from all its clients together. */
const MAX_CONNECTIONS = 16;

/** What travels with one call through the layers of xen-api, which has no parameter for it. */
export interface CallContext {
  readonly signal: AbortSignal;
  /** Set when the request is about to be written: from then on its effect is unknown until it is answered. */
  sent: boolean;
}

/**
 * One for the whole process: Node carries every such storage through every asynchronous step and never forgets one that was
 * used, so that one for each connection would make an agent slower with each run.
 */
const contexts = new AsyncLocalStorage<CallContext>();

/** The handler that xen-api's own undici hands over: the older of the two interfaces undici 7 understands. */
interface RequestHandler {
  onConnect(abort: (reason?: Error) => void, context?: unknown): void;
  onError(error: Error): void;
  onHeaders(status: number, headers: Buffer[], resume: () => void, text: string): boolean;
  onData(chunk: Buffer): boolean;
  onComplete(trailers: string[] | null): void;
}

/**
 * The transport given to xen-api: opens its sockets through `connect`, which checks certificates, and lets a call be
 * aborted although xen-api has no means for that.
 */
export class CallDispatcher {
  readonly #agent: Agent;

  constructor(connect: (address: HostAddress) => Promise<Socket>) {
    this.#agent = new Agent({
      connections: MAX_CONNECTIONS,
      pipelining: 1,
      maxResponseSize: MAX_RESPONSE_BYTES,
      // Calls bound themselves: some answer after many minutes.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: ({ hostname, port, protocol }, callback) => {
        // The URL drops the port where it is the scheme's own.
        const schemePort = protocol === 'https:' ? 443 : 80;
        connect(parseAddress(hostname, port === '' ? schemePort : Number(port))).then(
          (socket) => callback(null, socket),
          (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), null),
        );
      },
    });
  }

  /** Runs `action`; requests it makes belong to `context`. */
  run<T>(context: CallContext, action: () => T): T {
    return contexts.run(context, action);
  }

  /** Called by xen-api for each request. */
  dispatch(options: Agent.DispatchOptions, handler: RequestHandler): boolean {
    const context = contexts.getStore();
    return this.#agent.dispatch(options, context === undefined ? handler : track(handler, context));
  }

  /** Closes every socket; calls in flight fail. */
  async destroy(): Promise<void> {
    await this.#agent.destroy();
  }
}

function track(handler: RequestHandler, context: CallContext): RequestHandler {
  const { signal } = context;
  let release = (): void => undefined;
  return {
    onConnect(abort, connectContext) {
      const onAbort = (): void => abort(signal.reason instanceof Error ? signal.reason : undefined);
      if (signal.aborted) {
        onAbort();
        return;
      }
      signal.addEventListener('abort', onAbort, { once: true });
      release = () => signal.removeEventListener('abort', onAbort);
      context.sent = true;
      handler.onConnect(abort, connectContext);
    },
    onHeaders: (...args) => handler.onHeaders(...args),
    onData: (chunk) => handler.onData(chunk),
    onComplete(trailers) {
      release();
      handler.onComplete(trailers);
    },
    onError(error) {
      release();
      handler.onError(error);
    },
  };
}
