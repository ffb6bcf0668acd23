import type { CallOptions } from './call';
import type { PoolEndpoint } from './endpoint';
import type { MethodName, Params, Result } from './methods';
import type { Ref, Uuid } from './refs';
import type { DiskExport, DiskImport, ExportRequest, ImportRequest } from './transfer';

export interface ConnectOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  /** Told what the operator should know, for example that nothing is verified. */
  readonly onWarning?: ((text: string) => void) | undefined;
  /** Told of every call that was answered or failed. */
  readonly onCall?: ((method: string, durationMs: number) => void) | undefined;
}

/** One pool we are logged in to. */
export class Pool {
  declare readonly name: string;
  declare readonly uuid: Uuid<'pool'>;
  declare readonly ref: Ref<'pool'>;
  declare readonly label: string;
  declare readonly coordinator: Ref<'host'>;
  declare readonly apiVersion: { readonly major: number; readonly minor: number };
  declare readonly sessionRef: Ref<'session'>;

  private constructor() {
    throw new Error('not connected');
  }

  static connect(endpoint: PoolEndpoint, options: ConnectOptions = {}): Promise<Pool> {
    return Promise.reject(new Error(`not connected: ${endpoint.name} ${String(options.timeoutMs)}`));
  }
  declare call: <M extends MethodName>(
    method: M,
    params: Params<M>,
    options?: CallOptions,
  ) => Promise<Result<M>>;
  /** Runs `Async.<method>`, watches the task and destroys it. */
  declare callTask: <M extends MethodName>(
    method: M,
    params: Params<M>,
    options?: CallOptions,
  ) => Promise<Result<M>>;
  /** The coordinator's clock, as epoch ms. */
  declare serverTime: (options?: CallOptions) => Promise<number>;
  /** `all` for the local superuser, else the names of RBAC permissions. */
  declare permissions: (options?: CallOptions) => Promise<'all' | ReadonlySet<string>>;
  declare openExport: (request: ExportRequest, options?: CallOptions) => Promise<DiskExport>;
  declare openImport: (request: ImportRequest, options?: CallOptions) => Promise<DiskImport>;
  /** Logs out; bounded, never throws. */
  declare disconnect: () => Promise<void>;
}
