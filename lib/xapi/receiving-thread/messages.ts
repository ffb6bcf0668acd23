/** What a receiving thread and whoever reads what it received tell each other. */
import type { PeerProof } from '../peer-proof';
import type { PlainConnectionOptions } from '../trust';

/** What the thread is started with. */
export interface ThreadOrder {
  readonly connection: ConnectionOrder;
  /** Received bytes stand here, one after the other, round and round. */
  readonly memory: SharedArrayBuffer;
  /** Once so much was received that nobody has taken, no more is read from the socket. */
  readonly pauseBytes: number;
}

export type ConnectionOrder =
  | { readonly secure: true; readonly options: PlainConnectionOptions }
  | { readonly secure: false; readonly options: { readonly host: string; readonly port: number } };

export type ToThread =
  | { readonly kind: 'write'; readonly data: Uint8Array | string }
  /** So many bytes in all may be written over. */
  | { readonly kind: 'taken'; readonly bytes: number };

export type FromThread =
  /** Nothing was sent yet, and nothing is until told to: the proof is to be judged first. Null without TLS. */
  | { readonly kind: 'connected'; readonly proof: PeerProof | null }
  /** So many bytes in all stand in the memory, or stood there. */
  | { readonly kind: 'received'; readonly bytes: number }
  | { readonly kind: 'written' }
  | { readonly kind: 'ended' }
  | { readonly kind: 'failed'; readonly message: string; readonly code: string | undefined }
  | { readonly kind: 'closed' };
