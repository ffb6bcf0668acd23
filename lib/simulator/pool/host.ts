/** One host of a pool: its object in the database and where it listens. */
export interface Host {
  readonly ref: string;
  readonly uuid: string;
  readonly name: string;
  /** The VM object of its control domain. */
  readonly controlDomain: string;
  /** What `host.address`, redirects and HOST_IS_SLAVE name: `127.1.2.3`, with `:port` unless that is 443. */
  readonly address: string;
  readonly certificatePem: string;
}
