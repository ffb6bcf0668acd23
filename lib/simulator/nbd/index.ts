/** The pool's NBD server (port 10809 of a real host): read-only, EXPORT_NAME only. */
import type { TransferHost, TransferPool } from '../transfer/pool-side';

export interface NbdServerOptions {
  readonly host: TransferHost;
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
  /** PEM of the host's key and certificate, for STARTTLS. */
  readonly key: string;
  readonly cert: string;
}

export interface NbdServer {
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

export function startNbdServer(options: NbdServerOptions, pool: TransferPool): Promise<NbdServer> {
  void pool;
  return Promise.reject(new Error(`NBD server on ${options.address} is being written`));
}
