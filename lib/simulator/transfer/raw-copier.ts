import {
  COPY_BUFFER_BYTES,
  CopierError,
  readOrFail,
  type BlockDevice,
  type ByteSource,
  type Progress,
} from './copier';

export interface RawUpload {
  /** Content-Length, or the size of the disk where there is none. */
  readonly lengthBytes: number;
  /** What a stream that ends inside a buffer leads to; see TransferPool.cutRawUpload. */
  readonly whenCut: 'fails' | 'succeeds';
}

/**
 * Plain raw upload: 2 MiB at a time from the beginning of the disk. The buffer is used again and again, so the part of it that a
 * stream cut short did not fill is written with what it held before. A last part that is no whole sector is laid over what the
 * disk holds there.
 */
export async function copyRaw(
  source: ByteSource,
  device: BlockDevice,
  upload: RawUpload,
  progress: Progress,
): Promise<void> {
  const buffer = Buffer.alloc(COPY_BUFFER_BYTES);
  let cut = false;
  for (let offset = 0; offset < upload.lengthBytes;) {
    const length = Math.min(buffer.length, upload.lengthBytes - offset);
    const whole = buffer.subarray(0, Math.ceil(length / 512) * 512);
    if (whole.length !== length) await device.read(offset, whole);
    const count = await readOrFail(source, whole.subarray(0, length));
    cut ||= count < length;
    await device.write(offset, whole);
    offset += length;
    progress(Math.floor((offset * 100) / upload.lengthBytes) / 100);
  }
  if (cut && upload.whenCut === 'fails') {
    throw new CopierError('the stream ended before Content-Length; the rest of its buffer was written');
  }
}
