/**
 * What went wrong: no TCP connection or one that broke; a certificate or a name that is not the announced one; silence;
 * bytes that are no NBD; a server that says no; one that was found out of reach before; the caller's wish.
 */
export type NbdFailure =
  'connection' | 'tls' | 'timeout' | 'protocol' | 'refused' | 'out-of-reach' | 'aborted';

const hints: Readonly<Record<NbdFailure, string>> = {
  connection:
    'is a network of the pool with purpose nbd reachable from here on port 10809? a host serves 16 NBD connections at most',
  tls: 'nothing but the certificate that the pool itself announced is trusted; is something between us and the host?',
  timeout: 'is the host overloaded, or does a firewall swallow the packets?',
  protocol: 'what answers there is no NBD server of a XenServer or XCP-ng host',
  'out-of-reach': 'is a network of the pool with purpose nbd reachable from here on port 10809?',
  refused: 'the session may have ended, or the disk cannot be attached on that host: see its log',
  aborted: 'cancelled by the caller',
};

/** A failure of an NBD connection. Nothing that was read since the last complete reply counts. */
export class NbdError extends Error {
  readonly kind: NbdFailure;
  readonly where: string;
  readonly what: string;
  readonly retry: 'later' | 'never';
  readonly hint: string;

  /**
   * @param where address and port of the server; never the export name, which carries a session
   */
  constructor(kind: NbdFailure, where: string, what: string, cause?: unknown) {
    super(`NBD server ${where}: ${what}`, cause === undefined ? undefined : { cause });
    this.name = 'NbdError';
    this.kind = kind;
    this.where = where;
    this.what = what;
    this.retry = kind === 'aborted' || kind === 'tls' || kind === 'out-of-reach' ? 'never' : 'later';
    this.hint = hints[kind];
  }
}

/** The server itself did not answer, or not as a host of the pool does: none of its disks can be read. */
export class NbdUnreachable extends NbdError {
  constructor({ kind, where, what, cause }: NbdError) {
    super(kind, where, what, cause);
  }
}
