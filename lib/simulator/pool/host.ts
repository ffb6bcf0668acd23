import type { Line } from '../line';

/** One host of a pool: its object in the database and where it listens. */
export interface Host {
  readonly ref: string;
  readonly uuid: string;
  readonly name: string;
  /** The VM object of its control domain. */
  readonly controlDomain: string;
  /**
   * What `host.address` and HOST_IS_SLAVE say: an IP address alone. All hosts of a pool listen on one port, so a client
   * that keeps its port gets there. (Where hosts share an address they differ by port, and it is given.)
   */
  readonly address: string;
  /** What a `Location` names: with `:port` unless that is 443. */
  readonly location: string;
  readonly certificatePem: string;
  /** What all connections to it share. */
  readonly line: Line;
}
