/** How the certificate of a pool's hosts is judged before any credential is sent to them. */
export type TlsPolicy =
  /** SHA-256 of the certificates themselves, hex, colons optional, any case; one per host of the pool. */
  | { readonly kind: 'fingerprints'; readonly sha256: readonly string[] }
  /** PEM text of the authorities to trust; null means those of the system. */
  | { readonly kind: 'ca'; readonly pem: string | null }
  /** Nothing is verified: warns on every connect. */
  | { readonly kind: 'insecure' };

/** Where a pool is, who we are there, and how its hosts prove who they are. */
export interface PoolEndpoint {
  /** Name in the pools file, for messages. */
  readonly name: string;
  /** `https://host[:port]`; `http://` only with the `insecure` policy. Never contains credentials. */
  readonly url: string;
  readonly username: string;
  /** Read late, so that the password never stands in an object that could be logged. */
  readonly password: () => Promise<string>;
  readonly tls: TlsPolicy;
  /** Additionally allows TLS 1.0, for hosts that know nothing newer; only together with fingerprints. */
  readonly legacyTls: boolean;
}
