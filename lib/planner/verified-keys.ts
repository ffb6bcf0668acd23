/** What a verification leaves on a recovery point. */
import { count, find, flag, listOf, one, oneOf, orAbsent, text, textOrNull } from './records';
import type { Found, StringMap } from './records';

export const verifiedKey = 'xenrepl:verified';

/** Stands on a recovery point: what the last verification of it found. */
export interface VerifiedMark {
  readonly v: 1;
  readonly self: string;
  /** By the target pool's clock, epoch milliseconds. */
  readonly atMs: number;
  /** When the verification began that looked at this point among others; absent where a run looked at its own. */
  readonly sinceMs?: number;
  readonly mode: 'sampled' | 'full';
  /** False: the point is not what its source snapshot was. No delta is built on it, and nobody should recover from it. */
  readonly equal: boolean;
  readonly disks: readonly {
    readonly device: string;
    readonly against: 'source' | 'digest';
    readonly comparedBytes: number;
    /** Digest of the whole content, grains of zeros left out; null where not all of it was read and found equal. */
    readonly digest: string | null;
  }[];
}

/** What is told of it where only the verdict counts. */
export type Verification = Pick<VerifiedMark, 'atMs' | 'mode' | 'equal'>;

export const encodeVerified = {
  verified: (record: VerifiedMark): StringMap => ({ [verifiedKey]: JSON.stringify(record) }),
} as const;

const shape = {
  v: one,
  self: text,
  atMs: count,
  sinceMs: orAbsent(count),
  mode: oneOf('sampled', 'full'),
  equal: flag,
  disks: listOf({
    device: text,
    against: oneOf('source', 'digest'),
    comparedBytes: count,
    digest: textOrNull,
  }),
} as const;

export const decodeVerified = {
  verified: (map: StringMap, selfUuid: string): Found<VerifiedMark> =>
    find(map, verifiedKey, selfUuid, shape),
} as const;
