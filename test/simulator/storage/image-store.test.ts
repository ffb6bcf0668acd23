import { createHash } from 'node:crypto';

import { NoSpaceError, OutOfRangeError, roundSize } from '../../../lib/simulator/storage';
import { MIB, openTestStore, pattern } from './open-store';

describe('a disk', () => {
  it('reads as zeros where nothing was written', async () => {
    await using fixture = await openTestStore();
    await fixture.store.create('disk', 4 * MIB);
    expect((await fixture.store.read('disk', 0, 4 * MIB)).equals(Buffer.alloc(4 * MIB))).toBe(true);
  });

  it('gives back what was written, at any offset and length', async () => {
    await using fixture = await openTestStore();
    await fixture.store.create('disk', 6 * MIB);
    const data = pattern('A', 0, 5000).subarray(3);
    await fixture.store.write('disk', 2 * MIB - 777, data);
    expect((await fixture.store.read('disk', 2 * MIB - 777, data.length)).equals(data)).toBe(true);
    expect(await fixture.store.read('disk', 2 * MIB - 779, 2)).toEqual(Buffer.alloc(2));
  });

  it('refuses to go beyond its end, and writes nothing then', async () => {
    await using fixture = await openTestStore();
    await fixture.store.create('disk', 2 * MIB);
    await expect(fixture.store.write('disk', 2 * MIB - 512, pattern('A', 0, 2))).rejects.toThrow(
      OutOfRangeError,
    );
    expect(fixture.store.allocatedBlocks('disk')).toEqual([]);
  });

  it('allocates blocks of 2 MiB, written zeros too', async () => {
    await using fixture = await openTestStore();
    await fixture.store.create('disk', 8 * MIB);
    await fixture.store.write('disk', 5 * MIB, Buffer.alloc(512));
    await fixture.store.write('disk', 0, Buffer.alloc(2 * MIB));
    expect(fixture.store.allocatedBlocks('disk')).toEqual([0, 2]);
  });

  it('has a digest of its whole content', async () => {
    await using fixture = await openTestStore();
    await fixture.store.create('disk', 4 * MIB);
    await fixture.store.write('disk', 3 * MIB, pattern('A', 0, 8));
    const content = Buffer.alloc(4 * MIB);
    pattern('A', 0, 8).copy(content, 3 * MIB);
    expect(await fixture.store.digest('disk')).toEqual({
      sha256: createHash('sha256').update(content).digest('hex'),
      sizeBytes: 4 * MIB,
    });
  });

  it('keeps its content when it grows, also where the longer table needs the room of a block', async () => {
    await using fixture = await openTestStore({ capacityBytes: 4096 * MIB });
    await fixture.store.create('disk', 2 * MIB);
    await fixture.store.write('disk', 0, pattern('A', 0, 4096));
    await fixture.store.resize('disk', 2048 * MIB);
    const store = await fixture.reopen();
    expect(store.image('disk').sizeBytes).toBe(2048 * MIB);
    expect((await store.read('disk', 0, 2 * MIB)).equals(pattern('A', 0, 4096))).toBe(true);
    await store.write('disk', 2048 * MIB - 512, pattern('Z', 0, 1));
    expect(await store.read('disk', 2048 * MIB - 512, 512)).toEqual(pattern('Z', 0, 1));
  });
});

describe('virtual sizes', () => {
  it.each([
    [0, 2 * MIB],
    [1, 2 * MIB],
    [2 * MIB, 2 * MIB],
    [2 * MIB + 1, 4 * MIB],
  ])('%d bytes become %d', (asked, given) => {
    expect(roundSize(asked)).toBe(given);
  });
});

describe('a snapshot', () => {
  it('keeps the content of its moment while the disk goes on', async () => {
    await using fixture = await openTestStore();
    const { store } = fixture;
    await store.create('disk', 4 * MIB);
    await store.write('disk', 0, pattern('A', 0, 16));
    await store.snapshot('disk', 'snapshot', 'base');
    await store.write('disk', 4 * 512, pattern('B', 4, 1));
    expect(await store.read('snapshot', 0, 8192)).toEqual(pattern('A', 0, 16));
    expect(await store.read('disk', 0, 8192)).toEqual(
      Buffer.concat([pattern('A', 0, 4), pattern('B', 4, 1), pattern('A', 5, 11)]),
    );
  });

  it('makes a base copy that both stand on, and shares it when nothing was written in between', async () => {
    await using fixture = await openTestStore();
    const { store } = fixture;
    await store.create('disk', 4 * MIB);
    expect(await store.snapshot('disk', 'first', 'base')).toEqual({ baseCopy: 'base' });
    expect(await store.snapshot('disk', 'second', 'unused')).toEqual({ baseCopy: null });
    expect(store.chain('disk')).toEqual(['disk', 'base']);
    expect(store.chain('second')).toEqual(['second', 'base']);
    expect(store.image('base').hidden).toBe(true);
    expect(store.has('unused')).toBe(false);
  });

  it('differs from its neighbours by whole blocks of 2 MiB, on either side of the fork', async () => {
    await using fixture = await openTestStore();
    const { store } = fixture;
    await store.create('disk', 8 * MIB);
    await store.write('disk', 0, pattern('A', 0, 1));
    await store.snapshot('disk', 's0', 'b0');
    await store.write('disk', 2 * MIB, pattern('B', 0, 1));
    await store.snapshot('disk', 's1', 'b1');
    await store.write('disk', 6 * MIB, pattern('C', 0, 1));
    expect(store.changedBlocks('s1', 's0')).toEqual([1]);
    expect(store.changedBlocks('s0', 's1')).toEqual([1]);
    expect(store.changedBlocks('disk', 's0')).toEqual([1, 3]);
    expect(store.changedBlocks('s1', 's1')).toEqual([]);
    await store.create('other', 8 * MIB);
    expect(store.changedBlocks('s1', 'other')).toEqual([0, 1]);
  });
});

describe('coalescing', () => {
  it('merges a base copy that is left with one child into it, and keeps every content', async () => {
    await using fixture = await openTestStore();
    const { store } = fixture;
    await store.create('disk', 4 * MIB);
    await store.write('disk', 0, pattern('A', 0, 16));
    await store.snapshot('disk', 's0', 'b0');
    await store.write('disk', 512, pattern('B', 1, 1));
    await store.snapshot('disk', 's1', 'b1');
    await store.write('disk', 1024, pattern('C', 2, 1));
    const [disk, s1] = [await store.digest('disk'), await store.digest('s1')];
    await store.destroy('s0');
    expect(await store.coalesce()).toEqual([{ removed: 'b1', into: 'b0' }]);
    expect(store.chain('s1')).toEqual(['s1', 'b0']);
    await store.destroy('s1');
    expect(await store.coalesce()).toEqual([{ removed: 'b0', into: 'disk' }]);
    const reopened = await fixture.reopen();
    expect(reopened.chain('disk')).toEqual(['disk']);
    expect(await reopened.digest('disk')).toEqual(disk);
    expect(s1.sha256).not.toBe(disk.sha256);
  });

  it('removes base copies that nobody stands on any more', async () => {
    await using fixture = await openTestStore();
    const { store } = fixture;
    await store.create('disk', 4 * MIB);
    await store.snapshot('disk', 's0', 'b0');
    await store.destroy('s0');
    await store.destroy('disk');
    await store.coalesce();
    expect(store.images()).toEqual([]);
    expect(store.usedBytes()).toBe(0);
  });

  it('waits while there is no room to hold the blocks twice', async () => {
    await using fixture = await openTestStore({ capacityBytes: 7 * MIB });
    const { store } = fixture;
    await store.create('disk', 8 * MIB);
    await store.write('disk', 0, pattern('A', 0, 1));
    await store.snapshot('disk', 's0', 'b0');
    await store.write('disk', 2 * MIB, pattern('B', 0, 1));
    await store.destroy('s0');
    await store.create('filler', 2 * MIB);
    await store.write('filler', 0, pattern('F', 0, 1));
    expect(await store.coalesce()).toEqual([]);
    await store.destroy('filler');
    expect(await store.coalesce()).toEqual([{ removed: 'b0', into: 'disk' }]);
  });
});

describe('room on thin storage', () => {
  it('runs out in the middle of a write: what went before stays', async () => {
    await using fixture = await openTestStore({ capacityBytes: 5 * MIB });
    const { store } = fixture;
    await store.create('disk', 8 * MIB);
    await expect(store.write('disk', 0, pattern('A', 0, 3 * 4096))).rejects.toThrow(NoSpaceError);
    expect(store.allocatedBlocks('disk')).toEqual([0, 1]);
    await expect(store.write('disk', 0, pattern('B', 0, 4096))).resolves.toBeUndefined();
  });

  it('is taken by what was written only', async () => {
    await using fixture = await openTestStore();
    await fixture.store.create('disk', 512 * MIB);
    expect(fixture.store.usedBytes()).toBeLessThan(8192);
    await fixture.store.write('disk', 0, pattern('A', 0, 1));
    expect(fixture.store.physicalBytes('disk')).toBeGreaterThan(2 * MIB);
  });
});

describe('room on thick storage', () => {
  it('is reserved for the whole size at creation', async () => {
    await using fixture = await openTestStore({ allocation: 'thick', capacityBytes: 40 * MIB });
    await fixture.store.create('disk', 16 * MIB);
    expect(fixture.store.usedBytes()).toBe(20 * MIB);
    await expect(fixture.store.create('second', 24 * MIB)).rejects.toThrow(NoSpaceError);
  });

  it('is needed in full by a clone, hardly by a snapshot, and given back by the base copy', async () => {
    await using fixture = await openTestStore({ allocation: 'thick', capacityBytes: 64 * MIB });
    const { store } = fixture;
    await store.create('disk', 16 * MIB);
    await store.write('disk', 0, pattern('A', 0, 1));
    await store.snapshot('disk', 'snapshot', 'base');
    expect(store.usedBytes()).toBe(4 * MIB + 20 * MIB + 4 * MIB);
    await store.clone('snapshot', 'clone', 'unused');
    expect(store.usedBytes()).toBe(4 * MIB + 20 * MIB + 4 * MIB + 20 * MIB);
    await expect(store.clone('snapshot', 'second', 'unused')).rejects.toThrow(NoSpaceError);
    const reopened = await fixture.reopen();
    expect(reopened.usedBytes()).toBe(48 * MIB);
  });
});
