/** What stands on the two sides of the process that copies an upload to a disk. */
import { ImageMissingError, NoSpaceError, OutOfRangeError } from '../storage';
import type { TransferVdi } from './pool-side';

/** Where a copier reads: at the end of the stream it gets fewer bytes than it asked for, and the rest of its buffer stays as it was. */
export interface ByteSource {
  read(target: Uint8Array): Promise<number>;
}

/** The attached block device. Offsets and lengths must be whole sectors: it is opened with O_DIRECT. */
export interface BlockDevice {
  readonly sizeBytes: number;
  read(offset: number, target: Uint8Array): Promise<void>;
  write(offset: number, data: Uint8Array): Promise<void>;
}

/** Something went wrong in the copier. The client learns `VDI_IO_ERROR` whatever it was; the text is for people who read logs. */
export class CopierError extends Error {
  override readonly name = 'CopierError';
}

/** 0 to 1. */
export type Progress = (fraction: number) => void;

export const COPY_BUFFER_BYTES = 2 * 1024 * 1024;
const SECTOR_BYTES = 512;

/** Fills `target`, and fails only when the stream ends before its first byte: a shorter rest leaves stale bytes behind it. */
export async function readOrFail(source: ByteSource, target: Uint8Array): Promise<number> {
  const count = await source.read(target);
  if (count === 0 && target.byteLength > 0) throw new CopierError('the stream ended early');
  return count;
}

export function deviceOf(vdi: TransferVdi): BlockDevice {
  return {
    sizeBytes: vdi.sizeBytes,
    async read(offset, target) {
      assertSectors(offset, target.byteLength);
      const there = Math.max(0, Math.min(target.byteLength, vdi.sizeBytes - offset));
      if (there === 0 && target.byteLength > 0) throw new CopierError(`read behind the end at ${offset}`);
      await vdi.store.readInto(vdi.imageId, offset, target.subarray(0, there));
    },
    async write(offset, data) {
      assertSectors(offset, data.byteLength);
      const room = Math.max(0, Math.min(data.byteLength, vdi.sizeBytes - offset));
      if (room > 0) await vdi.store.write(vdi.imageId, offset, data.subarray(0, room));
      if (room < data.byteLength) throw new CopierError(`write behind the end at ${offset + room}`);
    },
  };
}

/** A device that says yes and stores nothing. */
export function lyingDevice(device: BlockDevice): BlockDevice {
  return {
    sizeBytes: device.sizeBytes,
    read: (offset, target) => device.read(offset, target),
    write: () => Promise.resolve(),
  };
}

/** Whether an error is one that the copying process meets on a disk or a stream, and not a defect of the simulator. */
export function isCopierFailure(error: unknown): boolean {
  return (
    error instanceof CopierError ||
    error instanceof NoSpaceError ||
    error instanceof OutOfRangeError ||
    error instanceof ImageMissingError
  );
}

function assertSectors(offset: number, length: number): void {
  if (offset % SECTOR_BYTES !== 0 || length % SECTOR_BYTES !== 0) {
    throw new CopierError(`${length} bytes at ${offset} are not whole sectors`);
  }
}
