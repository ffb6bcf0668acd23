/** Many objects in one call, all of one moment; against the simulator's `event.from`, over both transports. */
import { Pool } from '../../lib/xapi';
import type { Ref } from '../../lib/xapi';
import { endpointOf, Site } from '../engine/site';

describe('reading objects of several classes', () => {
  let site: Site;

  beforeAll(async () => {
    site = await Site.start();
  });

  afterAll(async () => {
    await site[Symbol.asyncDispose]();
  });

  test('gives the same records as one call for each class, in a single message', async () => {
    const sent: string[] = [];
    const pool = await site.connect('source', { onCall: (method) => sent.push(method) });
    const vms = await pool.call('VM.get_all_records', []);
    const disks = await pool.call('VDI.get_all_records', []);
    sent.length = 0;

    const objects = await pool.read({ VM: 'all', VDI: 'all' });

    expect(sent).toEqual(['event.from']);
    expect(Object.fromEntries(objects.VM)).toEqual(vms);
    expect(Object.fromEntries(objects.VDI)).toEqual(disks);
    expect(objects.VBD.size).toBe(0);
  });

  test('reads chosen objects only; one that is gone is simply not there', async () => {
    const pool = await site.connect('source');
    const [ref] = [...(await pool.read({ VDI: 'all' })).VDI.keys()];
    if (ref === undefined) throw new Error('no disk');

    const gone = `${ref}0` as Ref<'VDI'>;
    const objects = await pool.read({ VDI: [ref, gone], VM: [] });

    expect([...objects.VDI.keys()]).toEqual([ref]);
    expect(objects.VM.size).toBe(0);
  });

  test('asks nothing where nothing is wanted', async () => {
    const sent: string[] = [];
    const pool = await Pool.connect(endpointOf(site.source), { onCall: (method) => sent.push(method) });
    sent.length = 0;
    expect((await pool.read({ VM: [] })).VM.size).toBe(0);
    expect(sent).toEqual([]);
    await pool.disconnect();
  });

  test('numbers are numbers and dates are text with a host that speaks XML-RPC only', async () => {
    const old = await Site.start({
      seed: 1,
      pools: [
        {
          name: 'source',
          release: '6.5',
          hosts: [{ name: 'source-1' }],
          srs: [{ name: 'source-sr', type: 'ext', sizeBytes: 1024 ** 3, default: true }],
          networks: [{ name: 'lan' }],
          vms: [
            { name: 'db1', disks: [{ device: 0, name: 'root', sizeBytes: 2 * 1024 ** 2, sr: 'source-sr' }] },
          ],
        },
        { name: 'target', hosts: [{ name: 'target-1' }], srs: [], networks: [], vms: [] },
      ],
    });
    try {
      const pool = await old.connect('source');
      const { VM, VDI } = await pool.read({ VM: 'all', VDI: 'all' });
      expect(Object.fromEntries(VM)).toEqual(await pool.call('VM.get_all_records', []));
      expect([...VDI.values()].map((vdi) => vdi.virtual_size)).toEqual([2 * 1024 ** 2]);
    } finally {
      await old[Symbol.asyncDispose]();
    }
  });
});
