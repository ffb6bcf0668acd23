import { CbtError } from '../../../lib/simulator/storage';
import { MIB, openTestStore, pattern } from './open-store';

const GRAIN = 64 * 1024;

describe('changed block tracking', () => {
  it('lists grains of 64 KiB that were written between two snapshots, most significant bit first', async () => {
    await using fixture = await openTestStore();
    const { store } = fixture;
    await store.create('disk', 8 * MIB);
    await store.enableCbt('disk');
    await store.snapshot('disk', 's0', 'b0');
    await store.write('disk', 0, pattern('A', 0, 1));
    await store.write('disk', 3 * GRAIN, pattern('A', 384, 128));
    await store.write('disk', 10 * GRAIN - 512, pattern('A', 1279, 2));
    await store.write('disk', 8 * MIB - 512, pattern('A', 16383, 1));
    await store.snapshot('disk', 's1', 'b1');
    await store.snapshot('disk', 's2', 'b2');
    // What the real server answered for these writes.
    expect((await store.listChangedBlocks('s0', 's1')).toString('base64')).toBe('kGAAAAAAAAAAAAAAAAAAAQ==');
    expect((await store.listChangedBlocks('s1', 's2')).toString('base64')).toBe('AAAAAAAAAAAAAAAAAAAAAA==');
    expect((await store.listChangedBlocks('s0', 'disk')).toString('base64')).toBe('kGAAAAAAAAAAAAAAAAAAAQ==');
  });

  it('has no list for equal, reversed and untracked pairs', async () => {
    await using fixture = await openTestStore();
    const { store } = fixture;
    await store.create('disk', 8 * MIB);
    await store.enableCbt('disk');
    await store.snapshot('disk', 's0', 'b0');
    await store.snapshot('disk', 's1', 'b1');
    await store.clone('s0', 'clone', 'b2');
    await expect(store.listChangedBlocks('s0', 's0')).rejects.toEqual(new CbtError('same'));
    await expect(store.listChangedBlocks('s1', 's0')).rejects.toEqual(new CbtError('unrelated'));
    await expect(store.listChangedBlocks('clone', 's1')).rejects.toEqual(new CbtError('no-log'));
  });

  it('counts what a destroyed snapshot held to the next one', async () => {
    await using fixture = await openTestStore();
    const { store } = fixture;
    await store.create('disk', 8 * MIB);
    await store.enableCbt('disk');
    await store.snapshot('disk', 's0', 'b0');
    await store.write('disk', 0, pattern('A', 0, 1));
    await store.snapshot('disk', 's1', 'b1');
    await store.write('disk', GRAIN, pattern('B', 0, 1));
    await store.snapshot('disk', 's2', 'b2');
    await store.destroy('s1');
    await store.coalesce();
    expect((await store.listChangedBlocks('s0', 's2'))[0]).toBe(0b11000000);
  });

  it('survives the destruction of the data', async () => {
    await using fixture = await openTestStore();
    const { store } = fixture;
    await store.create('disk', 8 * MIB);
    await store.enableCbt('disk');
    await store.snapshot('disk', 's0', 'b0');
    await store.dataDestroy('s0');
    await store.write('disk', 0, pattern('A', 0, 1));
    await store.snapshot('disk', 's1', 'b1');
    const reopened = await fixture.reopen();
    expect(reopened.has('s0')).toBe(false);
    expect((await reopened.listChangedBlocks('s0', 's1'))[0]).toBe(0b10000000);
  });

  it('cannot be joined across a moment in which it was off', async () => {
    await using fixture = await openTestStore();
    const { store } = fixture;
    await store.create('disk', 8 * MIB);
    await store.enableCbt('disk');
    await store.snapshot('disk', 's0', 'b0');
    await store.disableCbt('disk');
    await store.enableCbt('disk');
    await store.snapshot('disk', 's1', 'b1');
    await expect(store.listChangedBlocks('s0', 's1')).rejects.toEqual(new CbtError('unrelated'));
  });

  it('gets longer with the disk; the grown part does not count as changed', async () => {
    await using fixture = await openTestStore();
    const { store } = fixture;
    await store.create('disk', 2 * MIB);
    await store.enableCbt('disk');
    await store.snapshot('disk', 's0', 'b0');
    await store.resize('disk', 6 * MIB);
    await store.snapshot('disk', 's1', 'b1');
    expect(await store.listChangedBlocks('s0', 's1')).toEqual(Buffer.alloc(12));
  });

  it('is off after a crash with writes that were not settled, and on after an orderly end', async () => {
    await using fixture = await openTestStore();
    const { store } = fixture;
    await store.create('disk', 8 * MIB);
    await store.create('quiet', 8 * MIB);
    for (const id of ['disk', 'quiet']) {
      await store.enableCbt(id);
      await store.write(id, 0, pattern('A', 0, 1));
    }
    store.settleCbt('quiet');
    const afterCrash = await fixture.openAgain();
    expect(afterCrash.cbtEnabled('disk')).toBe(false);
    expect(afterCrash.cbtEnabled('quiet')).toBe(true);
    await afterCrash.close();
  });
});
