import { X509Certificate, constants } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext, type ConnectionOptions, type SecureContext } from 'node:tls';
import { formatAddress, type HostAddress } from './address';
import type { PoolEndpoint, TlsPolicy } from './endpoint';
import { TransportError } from './errors';
import type { PeerProof } from './peer-proof';

type ContextOptions = Pick<ConnectionOptions, 'minVersion' | 'ciphers' | 'secureOptions'> & {
  readonly ca?: string;
};

interface AddressOptions {
  readonly host: string;
  readonly port: number;
  readonly servername?: string;
  readonly ALPNProtocols: string[];
  readonly rejectUnauthorized: false;
}

/** For tls.connect, without anything that only one thread can have. */
export type PlainConnectionOptions = AddressOptions & ContextOptions;

/**
 * Decides whether the other end of a TLS connection is a host of this pool. Every connection passes here before a byte is
 * written to it: calls, redirects, HOST_IS_SLAVE and transfers alike.
 */
export class Trust {
  readonly #policy: TlsPolicy;
  readonly #legacy: boolean;
  readonly #pinned: ReadonlySet<string>;
  /** Fingerprints the coordinator vouched for, by address of the host. */
  readonly #learned = new Map<string, string>();
  #secureContext: SecureContext | undefined;

  constructor(endpoint: PoolEndpoint) {
    const refuse = (what: string, hint: string): TransportError =>
      new TransportError({ kind: 'tls', retry: 'never', what, hint, poolName: endpoint.name });
    const policy = endpoint.tls;
    if (endpoint.legacyTls && policy.kind !== 'fingerprints')
      throw refuse(
        'legacy_tls is set without fingerprints',
        'TLS 1.0 proves nothing by itself: pin the SHA-256 fingerprint of each host',
      );
    const pinned = policy.kind === 'fingerprints' ? policy.sha256.map(normaliseFingerprint) : [];
    if (policy.kind === 'fingerprints' && (pinned.length === 0 || pinned.includes(null)))
      throw refuse(
        'its fingerprints are not SHA-256 digests',
        'each is 64 hex digits, with or without colons (openssl x509 -noout -fingerprint -sha256)',
      );
    this.#policy = policy;
    this.#legacy = endpoint.legacyTls;
    this.#pinned = new Set(pinned.filter((digest) => digest !== null));
  }

  /**
   * Options for tls.connect. Node is told not to reject, since it would judge by authorities alone: `accepts` must be
   * asked after the handshake and before anything is written.
   */
  connectionOptions(address: HostAddress): ConnectionOptions {
    // Made once: each would read all authorities again. It holds no sessions that a later handshake could resume.
    this.#secureContext ??= createSecureContext(this.#contextOptions());
    return { ...addressOptions(address), secureContext: this.#secureContext };
  }

  /** As `connectionOptions`, but plain data that another thread can be given. */
  plainConnectionOptions(address: HostAddress): PlainConnectionOptions {
    return { ...addressOptions(address), ...this.#contextOptions() };
  }

  #contextOptions(): ContextOptions {
    const ca = this.#policy.kind === 'ca' && this.#policy.pem !== null ? { ca: this.#policy.pem } : {};
    if (!this.#legacy) return { ...ca, minVersion: 'TLSv1.2' };
    // Security level 0 admits the 1024-bit keys and SHA-1 signatures of hosts that know TLS 1.0 only; they also
    // predate secure renegotiation.
    return {
      ...ca,
      minVersion: 'TLSv1',
      ciphers: 'DEFAULT@SECLEVEL=0',
      secureOptions: constants.SSL_OP_LEGACY_SERVER_CONNECT,
    };
  }

  /** Judges what a host showed in its handshake. */
  accepts(proof: PeerProof, address: HostAddress): boolean {
    if (this.#policy.kind === 'insecure') return true;
    if (this.#policy.kind === 'ca' && proof.authorized) return true;
    const shown = normaliseFingerprint(proof.fingerprint);
    if (shown === null) return false;
    return this.#pinned.has(shown) || this.#learned.get(formatAddress(address)) === shown;
  }

  /**
   * Remembers the certificate of another host of the pool, told by the coordinator over a connection that was accepted.
   * @param pem the leaf certificate, first where there are several
   */
  learn(address: HostAddress, pem: string): void {
    const digest = normaliseFingerprint(new X509Certificate(pem).fingerprint256);
    if (digest !== null) this.#learned.set(formatAddress(address), digest);
  }

  /** Why a certificate was refused and what the operator can do, for messages. */
  refusal(proof: PeerProof): { readonly what: string; readonly hint: string } {
    if (this.#policy.kind === 'ca')
      return {
        what: `its certificate is not signed by a trusted authority for this name (${proof.authorizationError}; SHA-256 ${proof.fingerprint})`,
        hint: 'compare the fingerprint on the host itself and pin it under fingerprints, or give the ca_file',
      };
    return {
      what: `its certificate has the SHA-256 fingerprint ${proof.fingerprint}, which is not pinned`,
      hint: 'nothing was sent; compare it on the host itself and add it to fingerprints (one per host of the pool)',
    };
  }

  /** What the operator is told on every connect. */
  warnings(url: string): readonly string[] {
    const warnings: string[] = [];
    if (url.startsWith('http:'))
      warnings.push('the connection is plain http: the password is sent in the clear');
    else if (this.#policy.kind === 'insecure')
      warnings.push('insecure is set: whoever answers at this address gets the password');
    if (this.#legacy) warnings.push('legacy_tls is set: TLS 1.0 can be read and altered on the way');
    return warnings;
  }
}

function addressOptions({ hostname, port }: HostAddress): AddressOptions {
  return {
    host: hostname,
    port,
    ...(isIP(hostname) === 0 ? { servername: hostname } : {}),
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: false,
  };
}

function normaliseFingerprint(text: string): string | null {
  const digest = text.replace(/[:\s]/g, '').toLowerCase();
  return /^[0-9a-f]{64}$/.test(digest) ? digest : null;
}
