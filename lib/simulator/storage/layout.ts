/** One block of a VHD: the unit in which storage is allocated. */
export const BLOCK_BYTES = 2 * 1024 * 1024;

/** Virtual sizes are multiples of 2 MiB, at least one. */
export function roundSize(sizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / BLOCK_BYTES)) * BLOCK_BYTES;
}
