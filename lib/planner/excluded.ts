/** Disks that their name keeps out of every copy. */

/** Xen Orchestra's mark and ours, anywhere in the name, in capitals. */
const marks = ['[NOBAK]', '[NOREPL]'] as const;

/** The mark in the name of a disk that keeps it out of replication, or null. */
export function exclusionMark(nameLabel: string): string | null {
  return marks.find((mark) => nameLabel.includes(mark)) ?? null;
}
