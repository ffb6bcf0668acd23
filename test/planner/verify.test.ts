import fc from 'fast-check';
import {
  chanceOfFinding,
  markAfter,
  replicaVerification,
  sampleBlocks,
  wholeDigestOf,
  yardstickOf,
} from '../../lib/planner/verify';
import type { VerifiedMark } from '../../lib/planner/keys';
import type { VerifiableDisk } from '../../lib/planner/verify';

const disk: VerifiableDisk = {
  device: '0',
  sizeBytes: 1024,
  contentBytes: 1024,
  source: { vdi: { ref: 'r', uuid: 'u', name: 'root' }, srRef: 's', sizeBytes: 1024, hasData: true },
  sourceMissing: 'its source snapshot is gone',
  commitDigest: 'sha256:written',
  commitKind: 'full',
  verifiedDigest: null,
};
const lost = { ...disk, source: null };

describe('the yardstick', () => {
  test.each<[string, VerifiableDisk, 'sampled' | 'full', string]>([
    ['is the source snapshot while it is there', disk, 'full', 'source'],
    ['in a sample too', disk, 'sampled', 'source'],
    ['is what the first copy wrote where the source is lost', lost, 'full', 'first copy'],
    [
      'is what an earlier verification found',
      { ...lost, verifiedDigest: 'sha256:found' },
      'full',
      'earlier verification',
    ],
    ['is nothing for a sample without the source', lost, 'sampled', 'only --full can compare'],
    [
      'is not what a delta wrote',
      { ...lost, commitKind: 'delta' },
      'full',
      'no digest of the whole disk was recorded',
    ],
    [
      'is nothing where nothing was recorded',
      { ...lost, commitDigest: null },
      'full',
      'its source snapshot is gone, and no digest',
    ],
    [
      'is no source whose data was destroyed',
      { ...disk, commitKind: 'delta', source: disk.source && { ...disk.source, hasData: false } },
      'full',
      'the data of its source snapshot was destroyed',
    ],
    [
      'is a source that is shorter: storage rounds up',
      { ...disk, source: disk.source && { ...disk.source, sizeBytes: 512 } },
      'full',
      'source',
    ],
    [
      'is no digest of more than there is',
      { ...lost, contentBytes: 2048 },
      'full',
      "the digest is of 2048 bytes, the recovery point's disk has 1024",
    ],
    [
      'is no source that is longer',
      { ...disk, source: disk.source && { ...disk.source, sizeBytes: 2048 } },
      'full',
      "the source snapshot's disk has 2048 bytes, the recovery point's 1024",
    ],
  ])('%s', (_, known, mode, expected) => {
    const found = yardstickOf(known, mode);
    const told =
      found.kind === 'nothing' ? found.reason : found.kind === 'digest' ? found.origin : found.kind;
    expect(told).toContain(expected);
  });
});

test.each<[string, VerifiableDisk, string | null]>([
  ['what the first copy wrote', disk, 'sha256:written'],
  ['what an earlier verification found', { ...disk, verifiedDigest: 'sha256:found' }, 'sha256:found'],
  ['of a delta nothing: it says nothing of the rest', { ...disk, commitKind: 'delta' }, null],
])('the digest of the whole content that is known: %s', (_, known, expected) => {
  expect(wholeDigestOf(known)).toBe(expected);
});

describe('what stands on a point after it was verified again', () => {
  const mark = (equal: boolean, mode: 'full' | 'sampled'): VerifiedMark => ({
    v: 1,
    self: 'p',
    atMs: 1,
    mode,
    equal,
    disks: [],
  });

  test.each<[string, VerifiedMark | null, VerifiedMark, boolean, 'earlier' | 'now']>([
    ['the first result', null, mark(false, 'sampled'), false, 'now'],
    ['a difference, whatever was found before', mark(true, 'full'), mark(false, 'sampled'), false, 'now'],
    [
      'an earlier difference that a sample missed',
      mark(false, 'full'),
      mark(true, 'sampled'),
      false,
      'earlier',
    ],
    [
      'an earlier difference where a disk had no yardstick',
      mark(false, 'full'),
      mark(true, 'full'),
      false,
      'earlier',
    ],
    ['that all of it is equal after all', mark(false, 'full'), mark(true, 'full'), true, 'now'],
  ])('%s', (_, earlier, now, isWhole, expected) => {
    expect(markAfter(earlier, now, isWhole)).toBe(expected === 'now' ? now : earlier);
  });
});

describe('a sample', () => {
  test('is of different blocks of the disk, ascending, as many as wanted or all', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 500 }),
        fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
        (blocks, count, numbers) => {
          const sample = sampleBlocks(blocks, count, () => Number(numbers.next().value));
          expect(sample.length).toBe(Math.min(blocks, count));
          expect([...new Set(sample)].sort((a, b) => a - b)).toEqual(sample);
          expect(sample.every((index) => index >= 0 && index < blocks)).toBe(true);
        },
      ),
    );
  });

  test('finds one wrong block as often as it says', () => {
    const random = numbers(1);
    const draws = 20_000;
    const found = new Array<number>(16).fill(0);
    for (let draw = 0; draw < draws; draw += 1)
      for (const index of sampleBlocks(16, 4, random)) found[index] = (found[index] ?? 0) + 1;
    const stated = chanceOfFinding(4, 16);
    expect(stated).toBe(0.25);
    for (const times of found) expect(Math.abs(times / draws - stated)).toBeLessThan(0.02);
  });
});

/** The same numbers each time: a linear congruence, good enough to draw lots. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

describe('of a replica', () => {
  const good = { verified: { atMs: 30, mode: 'sampled', equal: true } } as const;
  const bad = { verified: { atMs: 20, mode: 'full', equal: false } } as const;
  const never = { verified: null } as const;

  test('nothing is said where no point was ever compared', () => {
    expect(replicaVerification([never, never])).toBeNull();
    expect(replicaVerification([])).toBeNull();
  });

  test('the last comparison of any point counts for the time', () => {
    expect(replicaVerification([never, good, never])).toEqual({ lastAtMs: 30, allEqual: true });
  });

  test('one that differs is not made good by newer ones that are equal', () => {
    expect(replicaVerification([good, never, bad])).toEqual({ lastAtMs: 30, allEqual: false });
  });
});
