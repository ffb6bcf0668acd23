import fc from 'fast-check';
import { giveWay, niceFloor, niceRate, notGivingWay } from '../../lib/planner/nice';
import type { Nice, NiceSample } from '../../lib/planner/nice';

const mib = 1024 ** 2;

/** Looks every 15 s in which bytes moved as fast as they were let, of a line that could carry `line`. */
function after(
  loads: readonly (number | null)[],
  { line = 100 * mib, limit = null as number | null, from = notGivingWay, fromMs = 0 } = {},
): Nice {
  return loads.reduce<Nice>((now, loadPerVcpu, index) => {
    const moved = Math.min(line, niceRate(now, limit) ?? Infinity);
    return giveWay(now, {
      atMs: fromMs + index * 15_000,
      loadPerVcpu,
      movedBytesPerSecond: moved,
      limitBytesPerSecond: limit,
    });
  }, from);
}

function many<T>(count: number, value: T): readonly T[] {
  return Array.from({ length: count }, () => value);
}

describe('a run that is nice', () => {
  test('halves what moves when a control domain has more to do than it can', () => {
    expect(after([1.2]).bytesPerSecond).toBe(50 * mib);
  });

  test('waits for what slowing down has done before it slows down again', () => {
    expect(after([1.2, 1.2]).bytesPerSecond).toBe(50 * mib);
    expect(after([1.2, 1.2, 1.2]).bytesPerSecond).toBe(25 * mib);
  });

  test('keeps a tenth of what it was, however busy the host stays', () => {
    expect(after(many(50, 9)).bytesPerSecond).toBe(10 * mib);
  });

  test('stays as it is while the host is neither busy nor calm', () => {
    expect(after([0.9])).toEqual(notGivingWay);
    expect(after([1.2, ...many(20, 0.9)]).bytesPerSecond).toBe(50 * mib);
  });

  test('comes back bit by bit, and then gives way no more', () => {
    expect(after([1.2, 0.5]).bytesPerSecond).toBe(62.5 * mib);
    expect(after([1.2, 0.5, 0.5, 0.5]).bytesPerSecond).toBeCloseTo(97.66 * mib, -5);
    expect(after([1.2, 0.5, 0.5, 0.5, 0.5])).toEqual(notGivingWay);
  });

  test('does not stay slow for a host that says nothing any more', () => {
    expect(after([null])).toEqual(notGivingWay);
    expect(after([1.2, ...many(4, null)])).toEqual(notGivingWay);
  });

  test('leaves a slow line alone', () => {
    expect(after([5, 5, 5], { line: 100_000 }).bytesPerSecond).toBe(100_000);
  });

  test('decides nothing before it knows what moves', () => {
    const sample: NiceSample = {
      atMs: 0,
      loadPerVcpu: 5,
      movedBytesPerSecond: null,
      limitBytesPerSecond: null,
    };
    expect(giveWay(notGivingWay, sample)).toEqual(notGivingWay);
  });

  test('backs off from the limit of the job where that is what holds it', () => {
    const now = after([1.2], { limit: 40 * mib });
    expect(now.bytesPerSecond).toBe(20 * mib);
    expect(niceRate(now, 5 * mib)).toBe(5 * mib);
  });
});

const load = fc.option(fc.double({ min: 0, max: 20, noNaN: true }));
const speed = fc.double({ min: 1, max: 1e10, noNaN: true });
const sample = fc.record({
  gapMs: fc.integer({ min: 1, max: 120_000 }),
  loadPerVcpu: load,
  movedBytesPerSecond: fc.option(speed),
  limitBytesPerSecond: fc.option(speed),
});

function states(
  samples: readonly (Omit<NiceSample, 'atMs'> & { readonly gapMs: number })[],
): readonly Nice[] {
  let atMs = 0;
  let now = notGivingWay;
  return samples.map(({ gapMs, ...rest }) => {
    atMs += gapMs;
    now = giveWay(now, { atMs, ...rest });
    return now;
  });
}

describe('whatever the hosts say', () => {
  test('it never exceeds the limit of the job, and never falls below its floor', () => {
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 60 }), fc.option(speed), (samples, limit) => {
        for (const now of states(samples)) {
          const rate = niceRate(now, limit);
          if (limit !== null) expect(rate).toBeLessThanOrEqual(limit);
          if (now.bytesPerSecond === null || now.beforeBytesPerSecond === null) continue;
          expect(now.bytesPerSecond).toBeGreaterThanOrEqual(niceFloor(now.beforeBytesPerSecond));
          expect(now.bytesPerSecond).toBeLessThanOrEqual(now.beforeBytesPerSecond);
          expect(rate).toBeGreaterThan(0);
        }
      }),
    );
  });

  test('it is back at full speed after eleven calm looks', () => {
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 60 }), speed, (samples, moved) => {
        const last = states(samples).at(-1) ?? notGivingWay;
        expect(after(many(11, 0.1), { from: last, line: moved })).toEqual(notGivingWay);
      }),
    );
  });

  test('it never goes faster because a host is busy', () => {
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 30 }), sample, (samples, busy) => {
        const before = states(samples).at(-1) ?? notGivingWay;
        const now = giveWay(before, { ...busy, atMs: 1e9, loadPerVcpu: 3 });
        expect(now.bytesPerSecond ?? Infinity).toBeLessThanOrEqual(before.bytesPerSecond ?? Infinity);
      }),
    );
  });
});
