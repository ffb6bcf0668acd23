import fc from 'fast-check';
import { Faults } from '../../../lib/simulator/pool/faults';

const site = { method: 'VM.start', objects: ['vm'], host: ['host1'] };
const error = { kind: 'error', code: 'X' } as const;

describe('fault rules', () => {
  it('hit `max` times after `skip` matches, whatever else passes by', () => {
    fc.assert(
      fc.property(fc.nat(5), fc.integer({ min: 1, max: 5 }), fc.nat(20), (skip, max, calls) => {
        const faults = new Faults();
        faults.add({ match: { method: 'VM.start' }, skip, max, effect: error });
        let hits = 0;
        for (let call = 0; call < calls; call++) {
          expect(faults.take({ ...site, method: 'VM.stop' })).toBeNull();
          if (faults.take(site) !== null) hits++;
        }
        expect(hits).toBe(Math.min(max, Math.max(0, calls - skip)));
        expect(faults.counters()).toMatchObject([{ seen: calls, hits }]);
      }),
    );
  });

  it('match all that they name and nothing else', () => {
    const faults = new Faults();
    faults.add({ match: { method: 'VM.start', object: 'other' }, effect: error });
    faults.add({ match: { method: 'VM.start', host: 'host2' }, effect: error });
    faults.add({ match: { transfer: 'export' }, effect: error });
    expect(faults.take(site)).toBeNull();
    expect(faults.take({ transfer: 'import', objects: [], host: [] })).toBeNull();
    expect(faults.take({ transfer: 'export', objects: [], host: [] })).toEqual(error);
  });

  it('are removed by their id, and unknown ids are named', () => {
    const faults = new Faults();
    const id = faults.add({ match: { method: 'VM.start' }, effect: error });
    faults.remove(id);
    expect(faults.take(site)).toBeNull();
    expect(() => faults.remove(id)).toThrow(`no fault rule "${id}"; known: none`);
  });
});
