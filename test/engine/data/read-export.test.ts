import { openExportReader } from '../../../lib/engine/data/read-export';
import type { Pool } from '../../../lib/xapi';
import { Site } from '../site';

async function opened(site: Site, pool: Pool): Promise<unknown> {
  const uuid = await site.source.control.diskOf(await site.source.control.vmUuid('db1'), 0);
  const vdi = await pool.call('VDI.get_by_uuid', [uuid]);
  const { SR: sr, virtual_size: sizeBytes } = await pool.call('VDI.get_record', [vdi]);
  const request = { vdi, sr, sizeBytes, name: 'root', label: 'test' };
  return openExportReader(pool, request, new AbortController().signal);
}

describe('an export that breaks before its table of blocks', () => {
  test.each([0, 100, 700])(
    'after %d bytes: what its task says is told, not that we closed it',
    async (afterBytes) => {
      await using site = await Site.start();
      const pool = await site.connect('source');
      const { control } = site.source;
      await control
        .vmUuid('db1')
        .then((vm) => pool.call('VM.get_by_uuid', [vm]))
        .then((vm) => pool.call('VM.hard_shutdown', [vm]));
      await control.addFault({ match: { transfer: 'export' }, effect: { kind: 'error-page', afterBytes } });
      await expect(opened(site, pool)).rejects.toMatchObject({
        code: expect.not.stringMatching('aborted') as string,
        retry: 'later',
      });
    },
  );
});
