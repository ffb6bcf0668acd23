import { COPY_BUFFER_BYTES, CopierError, readOrFail, type BlockDevice, type ByteSource } from './copier';

const HEADER_BYTES = 12;

/**
 * Framed upload (`chunked`): { offset u64 LE, length u32 LE, data } until offset and length are zero. Header and data buffer are
 * used again for each frame: a header cut short keeps the tail of the one before (of zeros at the beginning, so a cut first
 * header may read as the end and succeed), and data cut short are filled up with what the buffer held.
 */
export async function copyFrames(source: ByteSource, device: BlockDevice): Promise<void> {
  const header = Buffer.alloc(HEADER_BYTES);
  const buffer = Buffer.alloc(COPY_BUFFER_BYTES);
  for (;;) {
    await readOrFail(source, header);
    const start = header.readBigUInt64LE(0);
    const length = header.readInt32LE(8);
    if (start === 0n && length === 0) return;
    if (length < 0) throw new CopierError('a frame longer than 2 GiB');
    for (let done = 0; done === 0 || done < length;) {
      const data = buffer.subarray(0, Math.min(buffer.length, length - done));
      await readOrFail(source, data);
      await device.write(Number(start) + done, data);
      done += data.length;
      if (data.length === 0) break;
    }
  }
}
