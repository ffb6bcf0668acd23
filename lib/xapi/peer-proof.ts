import type { TLSSocket } from 'node:tls';

/** What the other end of a TLS connection showed in the handshake. */
export interface PeerProof {
  /** SHA-256 of its certificate, hex; empty where it showed none. */
  readonly fingerprint: string;
  /** Signed by a trusted authority, for this name, and in date. */
  readonly authorized: boolean;
  readonly authorizationError: string;
}

/** To be taken in the `secureConnect` event: soon after it, Node no longer knows the certificate. */
export function proofOf(socket: TLSSocket): PeerProof {
  return {
    fingerprint: socket.getPeerX509Certificate()?.fingerprint256 ?? '',
    authorized: socket.authorized,
    authorizationError: String(socket.authorizationError),
  };
}
