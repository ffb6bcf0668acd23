import type { EventEmitter } from 'node:events';

/**
 * The sending end of a connection, and how it ends: a socket of this thread, or one that another thread reads. Emits
 * `error` before `close`, as sockets do; what it receives is read from the inlet that was made with it.
 */
export interface Wire extends EventEmitter {
  write(data: Uint8Array | string, onWritten?: (error?: Error | null) => void): unknown;
  /** Closes it at once; idempotent. */
  destroy(error?: Error): unknown;
}
