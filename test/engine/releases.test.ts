import { compareNewest, leftovers } from './inspect';
import { defaultSpec, guestWrites, Site } from './site';
import type { PoolSpec, SimulatorSpec } from '../../lib/simulator';

type Release = NonNullable<PoolSpec['release']>;
const mib = 1024 ** 2;

function spec(source: Release, target: Release): SimulatorSpec {
  const [sourcePool, targetPool] = defaultSpec.pools;
  if (sourcePool === undefined || targetPool === undefined) throw new Error('two pools expected');
  return {
    ...defaultSpec,
    pools: [
      { ...sourcePool, release: source },
      { ...targetPool, release: target },
    ],
  };
}

/** 6.5 to 7.2 answer in another shape and know fewer fields; the same run must work from and to each of them. */
describe.each<[Release, Release]>([
  ['6.5', '8.3'],
  ['7.0', 'xcp-8.3'],
  ['8.2', '7.3'],
  ['8.3', '6.5'],
])('from %s to %s', (source, target) => {
  test('a full and a delta arrive byte for byte', async () => {
    await using site = await Site.start(spec(source, target));
    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: mib, lengthBytes: 4096, fill: 0x31 }]);
    const job = await site.job();
    const full = await site.run(job);
    expect(full.report.vms.map(({ outcome }) => outcome)).toMatchObject([
      { kind: 'replicated', copyKind: 'full' },
    ]);

    await guestWrites(site.source.control, 'db1', 0, [{ atBytes: 9 * mib, lengthBytes: 512, fill: 0x32 }]);
    const delta = await site.run(job);

    expect(delta.report.vms.map(({ outcome }) => outcome)).toMatchObject([
      { kind: 'replicated', copyKind: 'delta' },
    ]);
    for (const compared of await compareNewest(site, delta.report))
      expect(compared.target).toBe(compared.source);
    expect(await leftovers(site)).toEqual([]);
  });
});
