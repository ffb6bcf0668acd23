import fc from 'fast-check';
import { describeNoSpace } from '../../lib/planner/describe-storage';
import { reservedTotal, stillReserved, withThoseWaiting } from '../../lib/planner/reservations';
import type { Reservation, SpaceWaiter } from '../../lib/planner/reservations';
import { gib, id } from './language';

function reservation(name: string, needBytes: number, changes: Partial<Reservation> = {}): Reservation {
  const vm = { uuid: name, name };
  return {
    job: null,
    vm,
    jobId: 'gold',
    needBytes,
    freeBytesThen: 100,
    heldBytesThen: 0,
    order: 1,
    ...changes,
  };
}

function holds(name: string, bytes: number): { jobId: string; sourceVm: string; bytes: number } {
  return { jobId: 'gold', sourceVm: name, bytes };
}

describe('what others will still take', () => {
  test('is all that they said, as long as the pool tells nothing of it', () => {
    expect(reservedTotal(stillReserved([reservation('web', 40)], { freeBytes: 100, staged: [] }))).toBe(40);
  });

  test('is less by what the pool knows to be written: a copy that is nearly done keeps nobody from the rest', () => {
    const now = { freeBytes: 65, staged: [holds('web', 35)] };
    expect(reservedTotal(stillReserved([reservation('web', 40)], now))).toBe(5);
  });

  test.each([
    ['the disk holds it, but the SR does not know yet', { freeBytes: 90, staged: [holds('web', 35)] }, 30],
    ['the SR has less free, but not by that disk', { freeBytes: 65, staged: [holds('db', 35)] }, 40],
    ['the SR got more free besides', { freeBytes: 120, staged: [holds('web', 35)] }, 40],
  ])('but not where only one figure says so: %s', (_name, now, still) => {
    expect(reservedTotal(stillReserved([reservation('web', 40)], now))).toBe(still);
  });

  test('what a disk held before that is gone on with is not written meanwhile', () => {
    const resumed = reservation('web', 40, { heldBytesThen: 20 });
    expect(reservedTotal(stillReserved([resumed], { freeBytes: 65, staged: [holds('web', 35)] }))).toBe(25);
  });

  test('never counts bytes as free that the SR has not said to be used', () => {
    const one = fc.record({ need: fc.nat(100), held: fc.nat(100), then: fc.nat(300), before: fc.nat(20) });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 6 }), fc.nat(300), (all, freeBytes) => {
        const reservations = all.map(({ need, then, before }, index) =>
          reservation(String(index), need, { freeBytesThen: then, heldBytesThen: before }),
        );
        const staged = all.map(({ held }, index) => holds(String(index), held));
        const promised = all.reduce((total, { need }) => total + need, 0);
        const used = Math.max(0, ...all.map(({ then }) => then - freeBytes));
        const still = reservedTotal(stillReserved(reservations, { freeBytes, staged }));
        expect(still).toBeLessThanOrEqual(promised);
        expect(still).toBeGreaterThanOrEqual(promised - used);
      }),
    );
  });
});

describe('what is kept for those that wait', () => {
  const now = { freeBytes: 100, staged: [] };
  const waits = (name: string, needBytes: number, order: number): SpaceWaiter => ({
    job: null,
    vm: { uuid: name, name },
    needBytes,
    order,
  });
  const bytes = (reservations: readonly Reservation[], ...waiters: readonly SpaceWaiter[]): number =>
    reservedTotal(withThoseWaiting(reservations, waiters, now));

  test('is nothing as long as those before it are in its way: who is small need not wait as long', () => {
    expect(bytes([reservation('long', 50)], waits('large', 90, 2))).toBe(50);
  });

  test('is what it needs once only later ones are in its way', () => {
    expect(bytes([reservation('small', 20, { order: 3 })], waits('large', 90, 2))).toBe(110);
    expect(bytes([], waits('large', 90, 2))).toBe(90);
  });

  test('is for who came first, then for who fits beside it', () => {
    expect(bytes([], waits('large', 90, 2), waits('other', 20, 3), waits('small', 10, 4))).toBe(100);
  });

  test('a large one begins at last, however many small ones come after it', () => {
    // Each small one begins where it fits, and the oldest ends in each round.
    let held = [reservation('long', 50), reservation('old', 20)];
    const large = waits('large', 90, 2);
    for (let round = 3; reservedTotal(stillReserved(held, now)) > 10; round += 1) {
      expect(round).toBeLessThan(20);
      held = held.slice(1);
      while (bytes(held, large) <= 90)
        held = [...held, reservation(`s${String(round)}`, 10, { order: round })];
    }
  });
});

test('who holds the space is named, with its job where that is another one', () => {
  const job = { id: 'j-2', name: 'nightly' };
  const { message, hint } = describeNoSpace({
    kind: 'no-space',
    side: 'target',
    sr: id('vault'),
    needBytes: 4 * gib,
    freeBytes: 10 * gib,
    reserved: [
      { job: null, vm: { uuid: '2', name: 'web2' }, bytes: gib },
      { job, vm: { uuid: '1', name: 'db1' }, bytes: 5 * gib },
      { job, vm: { uuid: '3', name: 'db2' }, bytes: gib },
      { job, vm: { uuid: '4', name: 'db3' }, bytes: gib },
    ],
    parts: [{ device: '0', bytes: 4 * gib }],
  });
  expect(message).toContain(
    'has 10.00 GiB free, of which others need 8.00 GiB (VM "db1" of job "nightly" (j-2) 5.00 GiB, ' +
      'VM "web2" of this run 1.00 GiB, VM "db2" of job "nightly" (j-2) 1.00 GiB, 1 more), this VM needs 4.00 GiB',
  );
  expect(hint).toMatch(/^run again when they are done; or free space/);
});
