import type { FaultCounter, FaultRule } from '../pool/faults';

/** Records of the classes that a replication can leave behind, by ref. */
export type Inventory = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>;

export interface CallCounters {
  /** By message, without the prefix of background calls. */
  readonly calls: Readonly<Record<string, number>>;
  readonly bytesImported: number;
  readonly bytesExported: number;
}

/** A writer inside a simulated guest. */
export interface GuestWriter {
  /** Uuid of the VDI it writes to. */
  readonly vdi: string;
  readonly writesPerSecond: number;
  /** Default 4096. */
  readonly writeBytes?: number;
  /** Bytes of the disk, from its start, that are written to. Default: all. */
  readonly spanBytes?: number;
  /** The same seed writes the same bytes to the same places. Default 1. */
  readonly seed?: number;
}

/** What tests do to a pool behind its clients' backs. The same verbs in process and over HTTP. */
export interface PoolControl {
  /** @throws Error when no VM, or more than one, has that name. */
  vmUuid(name: string): Promise<string>;
  /** Uuid of the VDI at a device position. */
  diskOf(vmUuid: string, device: number): Promise<string>;
  /** Writes as a guest would: also to a disk that is attached. */
  writeDisk(vdiUuid: string, offsetBytes: number, data: Uint8Array): Promise<void>;
  readDisk(vdiUuid: string, offsetBytes: number, lengthBytes: number): Promise<Uint8Array>;
  digestDisk(vdiUuid: string): Promise<{ readonly sha256: string; readonly sizeBytes: number }>;
  /** Of the content as above, but quick for large disks that are nearly empty: compare it with its like only. */
  digestData(vdiUuid: string): Promise<{ readonly sha256: string; readonly sizeBytes: number }>;
  /** Writes bytes that look random, made where the disk is: the same seed makes the same ones. Default seed 1. */
  fillDisk(vdiUuid: string, offsetBytes: number, lengthBytes: number, seed?: number): Promise<void>;
  addFault(rule: FaultRule): Promise<string>;
  removeFault(id: string): Promise<void>;
  clearFaults(): Promise<void>;
  faultCounters(): Promise<readonly FaultCounter[]>;
  counters(): Promise<CallCounters>;
  resetCounters(): Promise<void>;
  inventory(): Promise<Inventory>;
  /** Moves the pool's clock forward: sessions and tasks expire, waits end. */
  advanceClock(ms: number): Promise<void>;
  /** Ends all sessions and tasks and cuts all connections of the coordinator. */
  restartCoordinator(): Promise<void>;
  /** Another host becomes coordinator. */
  moveCoordinator(hostName: string): Promise<void>;
  unplugSr(srName: string, hostName: string): Promise<void>;
  plugSr(srName: string, hostName: string): Promise<void>;
  /** Merges files of all SRs now; gives how many files went. */
  coalesce(): Promise<number>;
  /** Switches a host off (or on): it takes no connections and is not live. */
  setHostOffline(hostName: string, offline?: boolean): Promise<void>;
  /** Sets the load average of a host's control domain, which has 8 vCPUs; null: the host keeps no such figure. */
  setControlDomainLoad(hostName: string, load: number | null): Promise<void>;
  /** Sets the speed of a host's line in each direction, also of transfers under way; null: as fast as the simulator can. */
  setLineSpeed(hostName: string, bytesPerSecond: number | null): Promise<void>;
  /** Writes a file into the ext4 file system that begins at the disk's first byte. Needs debugfs (e2fsprogs). */
  writeGuestFile(vdiUuid: string, path: string, content: Uint8Array): Promise<void>;
  /** Reads one. Rejects when it is not there. */
  readGuestFile(vdiUuid: string, path: string): Promise<Uint8Array>;
  /** Starts a guest's writer; gives the id to stop it by. */
  startWriter(writer: GuestWriter): Promise<string>;
  /** Stops it; gives the number of writes it made. */
  stopWriter(id: string): Promise<number>;
}

/** Verbs that take or give bytes: these travel as base64 over HTTP. */
export const verbs = [
  'vmUuid',
  'diskOf',
  'writeDisk',
  'readDisk',
  'digestDisk',
  'digestData',
  'fillDisk',
  'addFault',
  'removeFault',
  'clearFaults',
  'faultCounters',
  'counters',
  'resetCounters',
  'inventory',
  'advanceClock',
  'restartCoordinator',
  'moveCoordinator',
  'unplugSr',
  'plugSr',
  'coalesce',
  'setHostOffline',
  'setControlDomainLoad',
  'setLineSpeed',
  'writeGuestFile',
  'readGuestFile',
  'startWriter',
  'stopWriter',
] as const satisfies readonly (keyof PoolControl)[];
export type Verb = (typeof verbs)[number];
