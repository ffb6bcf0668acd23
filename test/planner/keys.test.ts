import fc from 'fast-check';
import {
  decode,
  encode,
  isReplicationKey,
  otherSourceCommits,
  own,
  sameUuid,
  sourceCommitKey,
  withoutReplicationKeys,
} from '../../lib/planner/keys';
import type {
  Found,
  ReplicaMark,
  RunMark,
  SourceCommit,
  StagingMark,
  StagingProgress,
  SwapRecord,
  TargetCommit,
} from '../../lib/planner/keys';

const text = fc.string({ minLength: 1 });
const textOrNull = fc.option(text, { nil: null });
const count = fc.nat();
const common = { v: fc.constant<1>(1), self: text, job: text };
const kind = fc.constantFrom<'full' | 'delta'>('full', 'delta');

const targetCommit: fc.Arbitrary<TargetCommit> = fc.record({
  ...common,
  run: text,
  sourceVm: text,
  sourceSnapshot: text,
  replica: text,
  sr: text,
  kind,
  takenAtMs: count,
  committedAtMs: count,
  disks: fc.array(
    fc.record({ device: text, vdi: text, sourceVdi: text, sizeBytes: count, digest: textOrNull }),
  ),
});
const sourceCommit: fc.Arbitrary<SourceCommit> = fc.record({
  ...common,
  run: text,
  sr: text,
  point: text,
  replica: text,
  committedAtMs: count,
  disks: fc.array(fc.record({ device: text, vdi: text, pointVdi: text })),
});
const swap: fc.Arbitrary<SwapRecord> = fc.record({
  ...common,
  run: text,
  sourceVm: text,
  sourceSnapshot: text,
  sr: text,
  kind,
  takenAtMs: count,
  disks: fc.array(
    fc.record({
      device: text,
      oldVdi: textOrNull,
      oldContentId: textOrNull,
      newVdi: text,
      newContentId: textOrNull,
      sourceVdi: text,
      sizeBytes: count,
      bootable: fc.boolean(),
      digest: text,
    }),
  ),
  removed: fc.array(fc.record({ device: text, oldVdi: text, oldContentId: textOrNull })),
});
const replica: fc.Arbitrary<ReplicaMark> = fc.record({ ...common, sourceVm: text, sr: text });
const staging: fc.Arbitrary<StagingMark> = fc.record({ ...common, run: text, sourceVm: text, device: text });
const run: fc.Arbitrary<RunMark> = fc.record({ ...common, run: text, sr: text });

const progress: fc.Arbitrary<StagingProgress> = fc.record({
  ...common,
  device: text,
  sourceSnapshot: text,
  sourceVdi: text,
  base: textOrNull,
  method: fc.constantFrom('export', 'nbd'),
  sizeBytes: count,
  confirmedBytes: count,
  offeredBytes: count,
  digest: text,
  complete: fc.boolean(),
});

type Map = Readonly<Record<string, string>>;

/** Each kind of record: how it is made, and how it is read from the map of the object `self`. */
const records: readonly {
  readonly name: string;
  readonly key: string;
  readonly map: fc.Arbitrary<{ readonly self: string; readonly record: object; readonly map: Map }>;
  readonly read: (map: Map, self: string) => Found<object>;
}[] = [
  {
    name: 'target commit',
    key: 'xenrepl:commit',
    map: targetCommit.map((record) => ({ self: record.self, record, map: encode.targetCommit(record) })),
    read: decode.targetCommit,
  },
  {
    name: 'source commit',
    key: 'xenrepl:commit:gold:sr',
    map: sourceCommit.map((any) => {
      const record = { ...any, job: 'gold', sr: 'sr' };
      return { self: record.self, record, map: encode.sourceCommit(record) };
    }),
    read: (map, self) => decode.sourceCommit(map, self, 'gold', 'sr'),
  },
  {
    name: 'announced exchange',
    key: 'xenrepl:swap',
    map: swap.map((record) => ({ self: record.self, record, map: encode.swap(record) })),
    read: decode.swap,
  },
  {
    name: 'replica mark',
    key: 'xenrepl:replica',
    map: replica.map((record) => ({ self: record.self, record, map: encode.replica(record) })),
    read: decode.replica,
  },
  {
    name: 'staging mark',
    key: 'xenrepl:staging',
    map: staging.map((record) => ({ self: record.self, record, map: encode.staging(record) })),
    read: decode.staging,
  },
  {
    name: 'staging progress',
    key: 'xenrepl:progress',
    map: progress.map((record) => ({ self: record.self, record, map: encode.progress(record) })),
    read: decode.progress,
  },
  {
    name: 'run mark',
    key: 'xenrepl:run',
    map: run.map((record) => ({ self: record.self, record, map: encode.run(record) })),
    read: decode.run,
  },
];

describe.each(records)('$name', ({ key, map, read }) => {
  test('what was written is read again, under its key, on the object that it names', () => {
    fc.assert(
      fc.property(map, (written) => {
        expect(Object.keys(written.map)).toEqual([key]);
        expect(read(written.map, written.self)).toEqual({ kind: 'own', record: written.record });
      }),
    );
  });

  test('on any other object it is a copy, and no record of its own', () => {
    fc.assert(
      fc.property(map, fc.string(), (written, other) => {
        fc.pre(other !== written.self);
        const found = read(written.map, other);
        expect(found).toEqual({ kind: 'copied', record: written.record });
        expect(own(found)).toBeNull();
      }),
    );
  });

  test('cut off anywhere it is unreadable, never an exception, never a record', () => {
    fc.assert(
      fc.property(map, fc.nat(), (written, at) => {
        const value = written.map[key] ?? '';
        const found = read({ [key]: value.slice(0, at % value.length) }, written.self);
        expect(found).toMatchObject({ kind: 'unreadable', reason: expect.stringContaining(key) as unknown });
      }),
    );
  });

  test('any text, and any JSON, is unreadable or fits: never an exception', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), fc.string(), (value, self) => {
        expect(['unreadable', 'own', 'copied']).toContain(read({ [key]: value }, self).kind);
      }),
    );
  });

  test('each member that is missing or wrong is named', () => {
    fc.assert(
      fc.property(
        map,
        fc.nat(),
        fc.constantFrom<unknown>(undefined, {}, '', -1, 'x'),
        (written, n, wrong) => {
          const names = Object.keys(written.record);
          const name = names[n % names.length] ?? '';
          const spoiled = { ...written.record, [name]: wrong };
          const found = read({ [key]: JSON.stringify(spoiled) }, written.self);
          if (found.kind === 'unreadable') {
            expect(found.reason).toBe(`${key}: ${name} is missing or of the wrong type`);
          } else {
            // "x" is a text like any other, so it may only make a copy of it, or another record.
            expect(wrong).toBe('x');
          }
        },
      ),
    );
  });
});

test('each member of each disk is looked at, too', () => {
  for (const { key, map, read } of records) {
    fc.assert(
      fc.property(map, fc.nat(), (written, n) => {
        const { disks = [] } = written.record as { readonly disks?: readonly object[] };
        const [first, ...rest] = disks;
        fc.pre(first !== undefined || !('disks' in written.record));
        const names = Object.keys(first ?? {});
        const spoiled = { ...first, [names[n % names.length] ?? '']: undefined };
        const value = JSON.stringify({ ...written.record, disks: [spoiled, ...rest] });
        const expected = first === undefined ? 'own' : 'unreadable';
        expect(read({ [key]: value }, written.self).kind).toBe(expected);
      }),
    );
  }
});

test('nothing there is nothing', () => {
  for (const { read } of records) expect(read({ other: 'key' }, 'uuid')).toEqual({ kind: 'absent' });
});

describe('the version of a record', () => {
  test('of a later program is not understood, and not ignored either', () => {
    const map = {
      'xenrepl:replica': JSON.stringify({ v: 2, self: 'R', job: 'gold', sourceVm: 'vm', sr: 'sr' }),
    };
    expect(decode.replica(map, 'R')).toEqual({
      kind: 'unreadable',
      reason: 'xenrepl:replica: v is missing or of the wrong type',
    });
  });

  test('members that are not known yet do no harm', () => {
    const map = {
      'xenrepl:replica': JSON.stringify({ v: 1, self: 'R', job: 'g', sourceVm: 'vm', sr: 'sr', more: 1 }),
    };
    expect(decode.replica(map, 'R').kind).toBe('own');
  });
});

describe('source commits', () => {
  test('stand under one key per job and target, however the SR is spelled', () => {
    expect(sourceCommitKey('gold', 'AbC')).toBe('xenrepl:commit:gold:abc');
    expect(sameUuid('AbC', 'aBc')).toBe(true);
    expect(sameUuid('abc', 'abd')).toBe(false);
  });

  const commitOf = (job: string, sr: string, self = 'S1'): Map =>
    encode.sourceCommit({
      v: 1,
      self,
      job,
      run: 'r',
      sr,
      point: 'P1',
      replica: 'R',
      committedAtMs: 0,
      disks: [],
    });
  const others = (map: Map): readonly string[] => otherSourceCommits(map, 'S1', 'gold', 'SR-1');

  test.each([
    ['our own', commitOf('gold', 'sr-1'), []],
    ['of another job', commitOf('silver', 'sr-1'), ['xenrepl:commit:silver:sr-1']],
    ['of another target', commitOf('gold', 'sr-2'), ['xenrepl:commit:gold:sr-2']],
    ['copied from another snapshot', commitOf('silver', 'sr-1', 'S0'), []],
    ['that cannot be read', { 'xenrepl:commit:silver:sr-1': '{' }, ['xenrepl:commit:silver:sr-1']],
    ['of the target side', { 'xenrepl:commit': '{' }, []],
  ])('hold a snapshot back for others: %s', (_, map, expected) => {
    expect(others(map)).toEqual(expected);
  });
});

describe('what a copy may inherit', () => {
  test.each([
    ['xenrepl:commit', true],
    ['xenrepl:commit:gold:sr', true],
    ['xenrepl:anything', true],
    ['xo:backup:datetime', true],
    ['xo:backup:contentKey', true],
    ['xo:copy_of', true],
    ['xo:base_delta', true],
    ['xo:base_delta_vdi', true],
    ['xo:import:task', true],
    ['content_id', false],
    ['mac_seed', false],
    ['XenCenter.CustomFields.owner', false],
    ['xo:no-bak', false],
    ['my:xenrepl:note', false],
  ])('%s is ours or Xen Orchestra’s: %s', (key, expected) => {
    expect(isReplicationKey(key)).toBe(expected);
  });

  test('everything else, unchanged', () => {
    const key = fc.oneof(
      fc.string(),
      fc.constantFrom('xenrepl:run', 'xo:copy_of', 'xo:backup:job', 'content_id'),
    );
    fc.assert(
      fc.property(fc.dictionary(key, fc.string()), (map) => {
        const left = withoutReplicationKeys(map);
        for (const [name, value] of Object.entries(map)) {
          expect(left[name]).toBe(isReplicationKey(name) ? undefined : value);
        }
        expect(Object.keys(left).some(isReplicationKey)).toBe(false);
      }),
    );
  });

  test('no record of ours survives it', () => {
    for (const { map } of records) {
      fc.assert(fc.property(map, (written) => expect(withoutReplicationKeys(written.map)).toEqual({})));
    }
  });
});
