import { createCipheriv, createHash } from 'node:crypto';

const pieceBytes = 4 * 1024 ** 2;

/** Bytes that look random, in pieces, quicker than any line: a cipher's key stream. The same seed gives the same ones. */
export function* noise(seed: number, lengthBytes: number): Generator<Uint8Array> {
  const key = createHash('sha256').update(String(seed)).digest();
  const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(Math.min(pieceBytes, lengthBytes));
  for (let done = 0; done < lengthBytes; done += pieceBytes)
    yield stream.update(zeros.subarray(0, Math.min(pieceBytes, lengthBytes - done)));
}
