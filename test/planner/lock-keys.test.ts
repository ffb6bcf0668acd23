import fc from 'fast-check';
import {
  encodeHolder,
  heldLocks,
  leaseKey,
  lockKey,
  obsoleteLockKeys,
  olderLeaseKeys,
  readLock,
  releasedKey,
} from '../../lib/planner/lock-keys';
import type { LockHolder, LockState } from '../../lib/planner/lock-keys';

type Map = Readonly<Record<string, string>>;

const lock = { jobId: 'gold', vmUuid: 'vm' };
const leaseMs = 120_000;

function taken(n: number, takenAtMs: number, run = `run-${String(n)}`): Map {
  return { [lockKey(lock, n)]: encodeHolder({ run, who: 'cli on host', takenAtMs, leaseMs }) };
}
function renewed(n: number, untilMs: number): Map {
  return { [leaseKey(lock, n, untilMs)]: `run-${String(n)}` };
}
function released(n: number): Map {
  return { [releasedKey(lock, n)]: `run-${String(n)}` };
}
function read(nowMs: number, ...maps: readonly Map[]): LockState {
  return readLock(Object.assign({}, ...maps) as Map, lock, nowMs);
}
/** `free 3`, `held 3 until 120000 by run-3` */
function told(state: LockState): string {
  return state.kind === 'free'
    ? `free ${String(state.highest)}`
    : `${state.kind} ${String(state.highest)} until ${String(state.untilMs)} by ${state.holder.run}`;
}

describe('what the map says of a lock', () => {
  test.each<[string, LockState, string]>([
    ['never taken', read(0), 'free 0'],
    ['taken', read(5, taken(1, 0)), 'held 1 until 120000 by run-1'],
    ['until the end of its lease', read(119_999, taken(1, 0)), 'held 1 until 120000 by run-1'],
    ['and not a moment longer', read(120_000, taken(1, 0)), 'expired 1 until 120000 by run-1'],
    ['renewed', read(130_000, taken(1, 0), renewed(1, 200_000)), 'held 1 until 200000 by run-1'],
    [
      'renewed, while the older renewal still stands',
      read(130_000, taken(1, 0), renewed(1, 200_000), renewed(1, 150_000)),
      'held 1 until 200000 by run-1',
    ],
    [
      'a renewal cannot shorten it',
      read(100_000, taken(1, 0), renewed(1, 50_000)),
      'held 1 until 120000 by run-1',
    ],
    [
      'renewal ran out as well',
      read(200_000, taken(1, 0), renewed(1, 200_000)),
      'expired 1 until 200000 by run-1',
    ],
    ['released', read(5, taken(1, 0), released(1)), 'free 1'],
    ['released, renewals still there', read(5, taken(1, 0), renewed(1, 200_000), released(1)), 'free 1'],
    [
      'taken over: the highest counts',
      read(130_000, taken(1, 0), taken(2, 125_000)),
      'held 2 until 245000 by run-2',
    ],
    [
      'a late renewal of the old holder changes nothing',
      read(250_000, taken(1, 0), renewed(1, 900_000), taken(2, 125_000)),
      'expired 2 until 245000 by run-2',
    ],
    [
      'the old holder releases late',
      read(130_000, taken(1, 0), released(1), taken(2, 125_000)),
      'held 2 until 245000 by run-2',
    ],
    [
      'numbers are numbers: 10 is higher than 9',
      read(5, taken(9, 0), taken(10, 0)),
      'held 10 until 120000 by run-10',
    ],
    [
      'another lock is another lock',
      read(5, { [lockKey({ jobId: 'gold', vmUuid: 'vm2' }, 1)]: '{}' }),
      'free 0',
    ],
  ])('%s', (_, state, expected) => {
    expect(told(state)).toBe(expected);
  });

  test.each(['', '1e3', '0x5', ' 5', '05', '-5', '5.5', '99999999999999999999', '5:lease', '5:other', '5 '])(
    'a key that is no number of ours ("%s") does not free a lock that is held',
    (garbage) => {
      const key = `${lockKey(lock, 1).slice(0, -1)}${garbage}`;
      expect(told(read(5, taken(1, 0), { [key]: '' }))).toBe('held 1 until 120000 by run-1');
    },
  );

  test('a number whose holder was removed by hand is free, and is not given out again', () => {
    expect(told(read(5, released(5)))).toBe('free 5');
    expect(told(read(5, renewed(5, 900_000)))).toBe('free 5');
  });
});

describe('a holder that cannot be read', () => {
  const farMs = Date.parse('2999-01-01');
  test.each([
    '',
    '{',
    'null',
    '5',
    '[]',
    '{"run":"r"}',
    '{"run":1,"who":"w","takenAtMs":0,"leaseMs":1}',
    '{"run":"r","who":"w","takenAtMs":"0","leaseMs":1}',
    '{"run":"r","who":"w","takenAtMs":1e999,"leaseMs":1}',
    '{"run":"r","who":"w","takenAtMs":-5,"leaseMs":1}',
    '{"run":"r","who":"w","takenAtMs":0.5,"leaseMs":1}',
  ])('never expires: %s', (value) => {
    const state = read(farMs, { [lockKey(lock, 1)]: value });
    expect(state).toMatchObject({ kind: 'held', holder: { who: 'a holder whose record cannot be read' } });
  });

  test('is released like any other', () => {
    expect(told(read(farMs, { [lockKey(lock, 1)]: '{' }, released(1)))).toBe('free 1');
  });

  test('the end of any lease can be printed as a date', () => {
    const holders = [
      '{',
      encodeHolder({ run: 'r', who: 'w', takenAtMs: Number.MAX_SAFE_INTEGER, leaseMs: 1 }),
      encodeHolder({ run: 'r', who: 'w', takenAtMs: 1, leaseMs: Number.MAX_SAFE_INTEGER }),
    ];
    for (const value of holders) {
      const state = read(0, { [lockKey(lock, 1)]: value }, renewed(1, Number.MAX_SAFE_INTEGER));
      expect(() => new Date(state.kind === 'free' ? 0 : state.untilMs).toISOString()).not.toThrow();
      expect(state.kind).toBe('held');
    }
  });
});

describe('the same answer for everybody', () => {
  const holder: fc.Arbitrary<LockHolder> = fc.record({
    run: fc.string(),
    who: fc.string(),
    takenAtMs: fc.nat(),
    leaseMs: fc.nat(),
  });

  test('only the pool’s clock counts, and every moment is on one side of the end of the lease', () => {
    fc.assert(
      fc.property(holder, fc.integer({ min: 1, max: 1e9 }), fc.nat(), (one, n, nowMs) => {
        const state = readLock({ [lockKey(lock, n)]: encodeHolder(one) }, lock, nowMs);
        const held = nowMs < one.takenAtMs + one.leaseMs;
        expect(state).toMatchObject({ kind: held ? 'held' : 'expired', highest: n, holder: one });
      }),
    );
  });

  test('of any number of takers that add the same number, one succeeds; the others see it', () => {
    // The pool refuses a key that exists: so there is one holder per number, and the highest number rules.
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 99 }), { minLength: 1 }), (numbers) => {
        const state = read(1, ...numbers.map((n) => taken(n, 0)));
        expect(state).toMatchObject({ kind: 'held', holder: { run: `run-${String(Math.max(...numbers))}` } });
      }),
    );
  });

  test('no map whatever makes it throw', () => {
    const key = fc.oneof(
      fc.string(),
      fc.string().map((end) => `xenrepl:lock:gold:vm:${end}`),
      fc.nat().map((n) => lockKey(lock, n)),
      fc.nat().map((n) => releasedKey(lock, n)),
      fc.tuple(fc.nat(), fc.nat()).map(([n, until]) => leaseKey(lock, n, until)),
    );
    fc.assert(
      fc.property(fc.dictionary(key, fc.oneof(fc.string(), fc.json())), fc.nat(), (map, nowMs) => {
        expect(['free', 'held', 'expired']).toContain(readLock(map, lock, nowMs).kind);
        heldLocks(map, 'gold', nowMs);
      }),
    );
  });
});

describe('what may be swept up', () => {
  const map = Object.assign(
    {},
    taken(1, 0),
    released(1),
    renewed(1, 7),
    taken(2, 0),
    renewed(2, 5),
    renewed(2, 9),
  ) as Map;

  test('everything below the highest number, and nothing of it', () => {
    expect(obsoleteLockKeys(map, lock, 2)).toEqual([
      lockKey(lock, 1),
      leaseKey(lock, 1, 7),
      releasedKey(lock, 1),
    ]);
    expect(obsoleteLockKeys({ ...map, 'xenrepl:lock:gold:vm:junk': '' }, lock, 1)).toEqual([]);
  });

  test('renewals that end earlier than the new one', () => {
    expect(olderLeaseKeys(map, lock, 2, 9)).toEqual([leaseKey(lock, 2, 5)]);
  });

  test('sweeping changes nothing of what the lock says', () => {
    const swept = new Set([...obsoleteLockKeys(map, lock, 2), ...olderLeaseKeys(map, lock, 2, 9)]);
    const left = Object.fromEntries(Object.entries(map).filter(([key]) => !swept.has(key)));
    expect(readLock(left, lock, 3)).toEqual(readLock(map, lock, 3));
  });
});

test('locks held now, by VM', () => {
  const other = (vmUuid: string, takenAtMs: number): Map => ({
    [lockKey({ jobId: 'gold', vmUuid }, 1)]: encodeHolder({ run: vmUuid, who: 'agent', takenAtMs, leaseMs }),
  });
  const map = Object.assign({}, other('a', 0), other('b', 500_000), other('c', 500_000), {
    [releasedKey({ jobId: 'gold', vmUuid: 'c' }, 1)]: '',
    [lockKey({ jobId: 'silver', vmUuid: 'd' }, 1)]: encodeHolder({
      run: 'd',
      who: '',
      takenAtMs: 500_000,
      leaseMs,
    }),
  }) as Map;
  expect([...heldLocks(map, 'gold', 500_001).keys()]).toEqual(['b']);
});
