/** What a recovery point's disk is compared with, and what a comparison proves. */
import type { CopyKind, Verification, VerifiedMark } from './keys';
import type { ObjectId } from './observation';

export type VerifyMode = 'sampled' | 'full';

/** What is known of one disk of a recovery point before a byte of it is read. */
export interface VerifiableDisk {
  readonly device: string;
  /** Of the recovery point's disk. */
  readonly sizeBytes: number;
  /** Of the source's disk when it was copied: storage may have rounded the other one up, and the rest holds zeros. */
  readonly contentBytes: number;
  /** The disk of the source snapshot that the commit names; null where it is gone or its pool does not answer. */
  readonly source: {
    readonly vdi: ObjectId;
    readonly srRef: string;
    readonly sizeBytes: number;
    /** False once its data was destroyed and only its list of changed blocks is left. */
    readonly hasData: boolean;
  } | null;
  /** Why there is no source, in words. */
  readonly sourceMissing: string;
  /** Digest of what the run wrote: of the whole content where it was a first copy. */
  readonly commitDigest: string | null;
  readonly commitKind: CopyKind;
  /** Digest of the whole content, from an earlier comparison with the source snapshot. */
  readonly verifiedDigest: string | null;
}

export type Yardstick =
  | {
      readonly kind: 'source';
      readonly vdi: ObjectId;
      readonly srRef: string;
      /** Of the source's disk; behind it the recovery point's has to hold zeros. */
      readonly sizeBytes: number;
    }
  | {
      readonly kind: 'digest';
      readonly digest: string;
      readonly origin: 'first copy' | 'earlier verification';
    }
  | { readonly kind: 'nothing'; readonly reason: string };

/**
 * The source snapshot while it is there; else a digest that covers the whole disk. What a delta wrote is no yardstick:
 * it says nothing of the rest.
 */
export function yardstickOf(disk: VerifiableDisk, mode: VerifyMode): Yardstick {
  const { source } = disk;
  if (source?.hasData === true) {
    const { vdi, srRef, sizeBytes } = source;
    if (sizeBytes <= disk.sizeBytes) return { kind: 'source', vdi, srRef, sizeBytes };
    return {
      kind: 'nothing',
      reason: `the source snapshot's disk has ${String(sizeBytes)} bytes, the recovery point's ${String(disk.sizeBytes)}`,
    };
  }
  const why = source === null ? disk.sourceMissing : 'the data of its source snapshot was destroyed';
  const digest = wholeDigestOf(disk);
  if (digest === null) {
    return { kind: 'nothing', reason: `${why}, and no digest of the whole disk was recorded` };
  }
  if (disk.contentBytes > disk.sizeBytes) {
    return {
      kind: 'nothing',
      reason: `${why}, and the digest is of ${String(disk.contentBytes)} bytes, the recovery point's disk has ${String(disk.sizeBytes)}`,
    };
  }
  if (mode === 'sampled') {
    return {
      kind: 'nothing',
      reason: `${why}; the recorded digest is of the whole disk: only --full can compare`,
    };
  }
  return {
    kind: 'digest',
    digest,
    origin: disk.verifiedDigest === null ? 'first copy' : 'earlier verification',
  };
}

/** The digest of the whole content that is recorded already; null where a comparison with the source has to leave one. */
export function wholeDigestOf({ verifiedDigest, commitKind, commitDigest }: VerifiableDisk): string | null {
  return verifiedDigest ?? (commitKind === 'full' ? commitDigest : null);
}

/**
 * What stands on a recovery point after another verification of it. That it differs is only taken back by a comparison of
 * every byte of every disk: a sample that misses the wrong block would let deltas be built on it again.
 */
export function markAfter(earlier: VerifiedMark | null, now: VerifiedMark, isWhole: boolean): VerifiedMark {
  return earlier?.equal === false && !(now.equal && isWhole) ? earlier : now;
}

/** What verifications say of a replica, over all recovery points that it has. */
export interface ReplicaVerification {
  readonly lastAtMs: number;
  /** False as long as any point stands whose last comparison found it to differ, whatever was found of newer ones since. */
  readonly allEqual: boolean;
}

/** Null where no point was ever compared. */
export function replicaVerification(
  points: readonly { readonly verified: Verification | null }[],
): ReplicaVerification | null {
  const found = points.flatMap(({ verified }) => (verified === null ? [] : [verified]));
  if (found.length === 0) return null;
  return {
    lastAtMs: Math.max(...found.map(({ atMs }) => atMs)),
    allEqual: found.every(({ equal }) => equal),
  };
}

/**
 * With what probability one wrong block, anywhere on the disk with the same likelihood, would have been found.
 *
 * @param comparedBlocks blocks that were compared, out of `blocks`
 */
export function chanceOfFinding(comparedBlocks: number, blocks: number): number {
  return blocks === 0 ? 1 : Math.min(1, comparedBlocks / blocks);
}

/**
 * Which blocks a sample reads: `count` different ones of `blocks`, each as likely as any other, ascending.
 *
 * @param random numbers from 0 up to but not 1
 */
export function sampleBlocks(blocks: number, count: number, random: () => number): readonly number[] {
  if (count >= blocks) return Array.from({ length: blocks }, (_, index) => index);
  // Floyd's way: as many steps as the sample has members, however large the disk is.
  const chosen = new Set<number>();
  for (let last = blocks - count; last < blocks; last += 1) {
    const candidate = Math.floor(random() * (last + 1));
    chosen.add(chosen.has(candidate) ? last : candidate);
  }
  return [...chosen].sort((a, b) => a - b);
}
