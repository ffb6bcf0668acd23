/** Sums of the chunks of an archive: SHA-1 from older releases, XXH64 from newer ones. */
import { createHash } from 'node:crypto';
import xxhash from 'xxhash-wasm';

export type SumKind = 'checksum' | 'xxhash';

export interface Sums {
  of(kind: SumKind, data: Uint8Array): string;
}

/** Loads the WebAssembly of XXH64 once. */
export async function loadSums(): Promise<Sums> {
  const api = await xxhash();
  return {
    of: (kind, data) =>
      kind === 'xxhash'
        ? api.h64Raw(data).toString(16).padStart(16, '0')
        : createHash('sha1').update(data).digest('hex'),
  };
}
