import { cardsOf, disksOf, ownBytes } from '../../../lib/engine/observe/disks';
import { ref, SmallWorld } from './small-world';

function disks(pool: SmallWorld, vm: string): ReturnType<typeof disksOf> {
  return disksOf(pool.world(), pool.record(vm));
}

describe('disks of a VM', () => {
  test('by device position as a number, with what the planner asks of them', () => {
    const pool = new SmallWorld('sr').vm('db1').disk('ten').disk('two');
    pool.attach('ten', 'db1', '10').attach('two', 'db1', '2');
    pool.config('two', { 'xo:backup:contentKey': 'key' });
    expect(disks(pool, 'db1')).toEqual([
      {
        device: '2',
        vdi: { ref: ref('two'), uuid: 'two', name: 'disk two' },
        sizeBytes: 100,
        bootable: false,
        isSnapshot: false,
        snapshotOf: null,
        contentId: 'content of two',
        contentKey: 'key',
        sr: { ref: ref('sr'), uuid: 'sr', name: 'sr' },
        tracking: 'off',
        raw: false,
        allocatedBytes: 10,
        chain: [{ uuid: 'two', physicalBytes: 10, mergePending: false }],
      },
      expect.objectContaining({ device: '10' }),
    ]);
  });

  test.each<[string, (pool: SmallWorld) => unknown]>([
    ['a CD', (pool) => pool.disk('iso').attach('iso', 'db1', '3', { type: 'CD', mode: 'RO' })],
    ['a floppy', (pool) => pool.disk('img').attach('img', 'db1', '3', { type: 'Floppy' })],
    ['an empty drive', (pool) => pool.attach('', 'db1', '3', { empty: true })],
    ['a drive without a disk', (pool) => pool.attach('', 'db1', '3')],
    [
      'a disk whose record vanished meanwhile',
      (pool) => pool.disk('x').attach('x', 'db1', '3').destroyDisk('x'),
    ],
  ])('%s is none', (_, change) => {
    const pool = new SmallWorld('sr').vm('db1', { disks: ['root'] });
    change(pool);
    expect(disks(pool, 'db1').map(({ vdi }) => vdi.uuid)).toEqual(['root']);
  });

  test('a snapshot knows whose it is, until that disk is gone', () => {
    const pool = new SmallWorld('sr').vm('db1', { disks: ['root'] }).snapshot('db1', 'S1');
    expect(disks(pool, 'S1')).toMatchObject([
      { isSnapshot: true, snapshotOf: 'root', contentId: 'content of root' },
    ]);
    pool.destroyDisk('root');
    expect(disks(pool, 'S1')).toMatchObject([{ isSnapshot: true, snapshotOf: null }]);
  });

  test('a snapshot shares what is attached read-only: that disk is no snapshot', () => {
    const pool = new SmallWorld('sr').vm('db1').disk('iso');
    pool.attach('iso', 'db1', '0', { mode: 'RO' }).snapshot('db1', 'S1');
    expect(disks(pool, 'S1')).toMatchObject([{ vdi: { uuid: 'iso' }, isSnapshot: false }]);
  });

  test.each<[string, Record<string, string>, boolean]>([
    ['VHD', { vdi_type: 'vhd' }, false],
    ['not said', {}, false],
    ['asked for as raw', { type: 'raw' }, true],
    ['found to be raw', { vdi_type: 'aio' }, true],
    ['qcow2', { 'image-format': 'qcow2' }, true],
    ['VHD, said in the newer way', { 'image-format': 'vhd' }, false],
  ])('image that has no delta export: %s', (_, config, raw) => {
    const pool = new SmallWorld('sr').vm('db1', { disks: ['root'] }).set('root', { sm_config: config });
    expect(disks(pool, 'db1')).toMatchObject([{ raw }]);
  });

  test('on an SR that is gone', () => {
    const pool = new SmallWorld('sr').vm('db1', { disks: ['root'] }).set('root', { SR: ref('away') });
    expect(disks(pool, 'db1')).toMatchObject([{ sr: { uuid: '', name: 'an SR that is gone' } }]);
  });
});

describe('allocated bytes', () => {
  const chain = (...links: readonly [string, number, string?][]): SmallWorld => {
    const pool = new SmallWorld('sr').vm('db1', { disks: [links[0]?.[0] ?? ''] });
    for (const [name, bytes, parent] of links) {
      const config = parent === undefined ? {} : { 'vhd-parent': parent };
      pool.disk(name).set(name, { physical_utilisation: bytes, sm_config: config });
    }
    return pool;
  };

  test.each<[string, SmallWorld, number]>([
    ['of the disk alone', chain(['leaf', 30]), 30],
    [
      'and of the hidden parents that it builds upon',
      chain(['leaf', 30, 'base'], ['base', 20, 'older'], ['older', 5]),
      55,
    ],
    ['at most the size of the disk', chain(['leaf', 70, 'base'], ['base', 70]), 100],
    ['a parent that is gone counts no more', chain(['leaf', 30, 'gone']), 30],
    ['not known yet: the worst is assumed', chain(['leaf', 0]), 100],
    [
      'records that contradict each other come to an end',
      chain(['leaf', 1, 'base'], ['base', 1, 'leaf']),
      64,
    ],
  ])('%s', (_, pool, expected) => {
    expect(disks(pool, 'db1')).toMatchObject([{ allocatedBytes: expected }]);
  });

  test('what disks hold by themselves is what their destruction frees', () => {
    const pool = new SmallWorld('sr').disk('a').disk('b').set('b', { physical_utilisation: 5 });
    const ids = ['a', 'b', 'gone'].map((uuid) => ({ ref: ref(uuid), uuid, name: uuid }));
    expect(ownBytes(pool.world(), ids)).toBe(15);
  });
});

test('cards by device, with the network as people know it', () => {
  const pool = new SmallWorld('sr').network('net-1', 'lan').vm('db1', { networks: ['net-1', 'net-gone'] });
  expect(cardsOf(pool.world(), pool.record('db1'))).toEqual([
    { device: '0', network: { ref: ref('net-1'), uuid: 'net-1', name: 'lan' }, mac: '02:0', mtu: 1500 },
    {
      device: '1',
      network: { ref: ref('net-gone'), uuid: '', name: 'a network that is gone' },
      mac: '02:1',
      mtu: 1500,
    },
  ]);
});
