import type { CallOptions } from './call';
import type { ReceivedBy } from './dial';
import type { Ref } from './refs';

export interface ExportRequest {
  readonly vdi: Ref<'VDI'>;
  /** The SR that holds the disk: decides which hosts can serve it. */
  readonly sr: Ref<'SR'>;
  /** Only blocks that differ from this disk are sent. The server does not check that the two are related. */
  readonly base?: Ref<'VDI'>;
  /** By a thread of its own: for who reads two disks side by side. Default: by this one. */
  readonly receivedBy?: ReceivedBy;
  /** Names the run, in the list of tasks of the pool. */
  readonly label: string;
}

export interface ImportRequest {
  readonly vdi: Ref<'VDI'>;
  /** The SR that holds the disk: decides which hosts can take it. */
  readonly sr: Ref<'SR'>;
  /** Names the run, in the list of tasks of the pool. */
  readonly label: string;
}

export interface VmExportRequest {
  /** A halted VM, or a snapshot. */
  readonly vm: Ref<'VM'>;
  /** The SR of one of its disks: decides which host is asked first. */
  readonly sr: Ref<'SR'>;
  readonly compression: 'none' | 'gzip';
  /** Names the run, in the list of tasks of the pool. */
  readonly label: string;
}

/** A disk on its way out of the pool, as a VHD stream; or a VM with its disks, as an archive. */
export interface DiskExport {
  /**
   * Raw VHD stream bytes; back-pressure reaches the socket, breaking out closes it. To be iterated once. The bytes of a
   * piece are only there until the next one is asked for: whoever needs them longer copies them.
   * The server may append an error page to a broken stream: the reader of the format notices it, or `finish` does.
   */
  readonly body: AsyncIterable<Uint8Array>;
  /** After the body was read to its end: waits for the task; rejects with its XapiError where it failed. */
  finish(options?: CallOptions): Promise<void>;
  /** Closes the socket and destroys the task; idempotent, never throws. */
  abort(): Promise<void>;
}

/** Bytes on their way into a disk of the pool, frame by frame. */
export interface DiskImport {
  /**
   * Sends one frame; resolves when more is accepted. `data` must not be changed before `bytesWritten` has reached what
   * `bytesSent` is then. Offset and length are multiples of 512 bytes. Rejects with the task's own error as soon as the
   * server gives up.
   *
   * @param roomBytes how many bytes before `data`, in the same memory, may be overwritten: with twelve the frame is sent
   *   from where it stands, else it is copied
   */
  write(offsetBytes: number, data: Uint8Array, roomBytes?: number): Promise<void>;
  /** Sends the terminator, then waits for the task. Only its resolution means that the segment counts. */
  finish(options?: CallOptions): Promise<void>;
  /** Closes the socket and destroys the task; idempotent, never throws. */
  abort(): Promise<void>;
  /** Bytes accepted so far, frame headers included. */
  readonly bytesSent: number;
  /** Those of them that have left this process. */
  readonly bytesWritten: number;
}
