/**
 * What went wrong: no TCP connection or one that broke; a certificate or a name that is not the announced one; silence;
 * bytes that are no NBD; a server that says no; the caller's wish.
 */
export type NbdFailure = 'connection' | 'tls' | 'timeout' | 'protocol' | 'refused' | 'aborted';

const hints: Readonly<Record<NbdFailure, string>> = {
  connection:
    'is a network of the pool with purpose nbd reachable from here on port 10809? a host serves 16 NBD connections at most',
  tls: 'nothing but the certificate that the pool itself announced is trusted; is something between us and the host?',
  timeout: 'is the host overloaded, or does a firewall swallow the packets?',
  protocol: 'what answers there is no NBD server of a XenServer or XCP-ng host',
  refused: 'the session may have ended, or the disk cannot be attached on that host: see its log',
  aborted: 'cancelled by the caller',
};

/** A failure of an NBD connection. Nothing that was read since the last complete reply counts. */
export class NbdError extends Error {
  readonly kind: NbdFailure;
  readonly retry: 'later' | 'never';
  readonly hint: string;

  /**
   * @param where address and port of the server; never the export name, which carries a session
   */
  constructor(kind: NbdFailure, where: string, what: string, cause?: unknown) {
    super(`NBD server ${where}: ${what}`, cause === undefined ? undefined : { cause });
    this.name = 'NbdError';
    this.kind = kind;
    this.retry = kind === 'aborted' || kind === 'tls' ? 'never' : 'later';
    this.hint = hints[kind];
  }
}
