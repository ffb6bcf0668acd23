/**
 * What this project uses of the npm package xen-api 4.7.6, which ships no types. Members with an underscore are not
 * public: the version is pinned exactly, and a test fails where one of them has gone or means something else.
 */
declare module 'xen-api' {
  export interface XenApiUrl {
    readonly protocol: string;
    /** IPv6 addresses keep their brackets. */
    readonly hostname: string;
    readonly port: string | undefined;
    readonly pathname: string;
  }

  export interface XenApiAuth {
    readonly user: string;
    readonly password: string | undefined;
  }

  export type Transport = 'auto' | 'json-rpc' | 'xml-rpc';

  export interface XenApiOptions {
    readonly url: string;
    readonly auth: XenApiAuth;
    readonly watchEvents: false;
    readonly callConcurrency: number;
    readonly syncStackTraces: false;
    /** `auto`: JSON-RPC, and XML-RPC with hosts that do not know it. */
    readonly transport: Transport;
  }

  export class Xapi {
    constructor(options: XenApiOptions);
    /** Logs in, follows HOST_IS_SLAVE once, reads the pool and the list of methods. */
    connect(): Promise<void>;
    disconnect(): Promise<void>;
    readonly status: 'connected' | 'connecting' | 'disconnected';
    /** The pool's record, wrapped; null before connect. */
    readonly pool: Readonly<Record<string, unknown>> | null;

    _undiciDispatcher: unknown;
    _auth: XenApiAuth;
    _sessionId: string | undefined;
    _url: XenApiUrl;
    /** Sends one message, whose arguments include the session; reaches the dispatcher before it first waits. */
    _transport(method: string, args: readonly unknown[]): Promise<unknown>;
    /** Makes a transport of the kind that was asked for. */
    _createTransport: unknown;
    /** Makes the transport anew from `_undiciDispatcher` and the URL. */
    _setUrl(url: XenApiUrl): void;
    /** Logs in (again); concurrent calls share one login. */
    _sessionOpen(): Promise<void>;
    /** What xen-api sends its own messages by. */
    _call(method: string, args?: readonly unknown[]): Promise<unknown>;
  }
}
