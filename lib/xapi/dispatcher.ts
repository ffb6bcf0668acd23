import type { Socket } from 'node:net';
import { Agent } from 'undici';
import { parseAddress, type HostAddress } from './address';

/** Bytes of one answer at most: a pool of thousands of VMs stays far below, a runaway server does not fill the memory. */
const MAX_RESPONSE_BYTES = 256 * 1024 * 1024;
/** Sockets to the coordinator at once; further calls wait in line. xapi takes 800 from all its clients together. */
const MAX_CONNECTIONS = 16;

type Abort = (reason?: Error) => void;

/** The handler that xen-api's own undici hands over: the older of the two interfaces undici 7 understands. */
interface RequestHandler {
  onConnect(abort: Abort, context?: unknown): void;
  onError(error: Error): void;
  onHeaders(status: number, headers: Buffer[], resume: () => void, text: string): boolean;
  onData(chunk: Buffer): boolean;
  onComplete(trailers: string[] | null): void;
}

/** One call on its way through the layers of xen-api, which have no place for either of these. */
export class CallContext {
  #sent = false;
  #reason: Error | undefined;
  #abort: Abort | undefined;

  /** From the moment its request is about to be written: until it is answered, its effect is unknown. */
  get sent(): boolean {
    return this.#sent;
  }

  /** Closes the socket of a request under way; one that has not begun will not. After the answer it does nothing. */
  cancel(reason: Error): void {
    this.#reason = reason;
    this.#abort?.(reason);
  }

  /** False where the call was cancelled before: nothing may be written then. */
  begin(abort: Abort): boolean {
    if (this.#reason !== undefined) {
      abort(this.#reason);
      return false;
    }
    this.#abort = abort;
    this.#sent = true;
    return true;
  }

  end(): void {
    this.#abort = undefined;
  }
}

/**
 * The transport given to xen-api: opens its sockets through `connect`, which checks certificates, and lets a call be
 * aborted although xen-api has no means for that.
 */
export class CallDispatcher {
  readonly #agent: Agent;
  /** The call whose request comes next. */
  #calling: CallContext | undefined;

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

  /**
   * Runs `action`, which makes its one request before it first waits: that request belongs to `context`. A field does for
   * that what AsyncLocalStorage would, which makes every promise of the process dearer.
   */
  run<T>(context: CallContext, action: () => T): T {
    this.#calling = context;
    try {
      return action();
    } finally {
      this.#calling = undefined;
    }
  }

  /**
   * Called by xen-api for each request.
   * @throws Error for a request that belongs to no call: nothing would bound it, and nobody could end it
   */
  dispatch(options: Agent.DispatchOptions, handler: RequestHandler): boolean {
    const context = this.#calling;
    this.#calling = undefined;
    if (context === undefined) throw new Error('xen-api made a request outside of any call: it is not sent');
    return this.#agent.dispatch(options, track(handler, context));
  }

  /** Closes every socket; calls in flight fail. */
  async destroy(): Promise<void> {
    await this.#agent.destroy();
  }
}

function track(handler: RequestHandler, context: CallContext): RequestHandler {
  return {
    onConnect(abort, connectContext) {
      if (context.begin(abort)) handler.onConnect(abort, connectContext);
    },
    onHeaders: (...args) => handler.onHeaders(...args),
    onData: (chunk) => handler.onData(chunk),
    onComplete(trailers) {
      context.end();
      handler.onComplete(trailers);
    },
    onError(error) {
      context.end();
      handler.onError(error);
    },
  };
}
