import fc from 'fast-check';

import { roundSize } from '../../../lib/simulator/storage';
import { MIB, openTestStore } from './open-store';

/** Disks small enough to be held twice: once in files, once in memory. */
const SIZE = 4 * MIB;
const SECTORS = SIZE / 512;

type Step =
  | {
      readonly do: 'write';
      readonly disk: number;
      readonly sector: number;
      readonly count: number;
      readonly fill: number;
    }
  | { readonly do: 'snapshot' | 'clone' | 'destroy'; readonly disk: number }
  | { readonly do: 'coalesce' | 'reopen' }
  | { readonly do: 'grow'; readonly disk: number };

const disk = fc.nat({ max: 9 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      disk,
      sector: fc.nat({ max: SECTORS - 1 }),
      count: fc.integer({ min: 1, max: 5000 }),
      fill: fc.integer({ min: 0, max: 255 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('snapshot' as const, 'clone' as const, 'destroy' as const),
      disk,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('coalesce' as const, 'reopen' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('grow' as const), disk }) },
);

describe('the tree of images', () => {
  it('never lets one disk see what was done to another, whatever is cloned, destroyed and merged', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 25 }),
        fc.constantFrom('thin' as const, 'thick' as const),
        async (steps, allocation) => {
          await using fixture = await openTestStore({ allocation, capacityBytes: 4096 * MIB });
          const expected = new Map<string, Buffer>([['d0', Buffer.alloc(SIZE)]]);
          await fixture.store.create('d0', roundSize(SIZE));
          for (const [index, action] of steps.entries()) await perform(action, `n${index}`);

          for (const [id, content] of expected) {
            const actual = await fixture.store.read(id, 0, content.length);
            expect(`${id} ${actual.equals(content) ? 'equal' : 'different'}`).toBe(`${id} equal`);
          }

          async function perform(action: Step, name: string): Promise<void> {
            const { store } = fixture;
            if (!('disk' in action)) await (action.do === 'coalesce' ? store.coalesce() : fixture.reopen());
            else {
              const id = [...expected.keys()][action.disk];
              const content = id === undefined ? undefined : expected.get(id);
              if (id === undefined || content === undefined) return;
              if (action.do === 'write') {
                const data = Buffer.alloc(
                  Math.min(action.count * 512, content.length - action.sector * 512),
                  action.fill,
                );
                await store.write(id, action.sector * 512, data);
                data.copy(content, action.sector * 512);
              } else if (action.do === 'destroy') {
                await store.destroy(id);
                expected.delete(id);
              } else if (action.do === 'grow') {
                await store.resize(id, content.length + 2 * MIB);
                expected.set(id, Buffer.concat([content, Buffer.alloc(2 * MIB)]));
              } else {
                await store[action.do](id, name, `base-${name}`);
                expected.set(name, Buffer.from(content));
              }
            }
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});
