import { connect } from 'node:tls';
import type { Release } from '../../lib/simulator';
import reference from '../vectors/xapi/reference-methods.json';
import { PoolUnderTest, text, type Record as Fields } from './pool-under-test';

let pool: PoolUnderTest;

/** Starts a pool of a release and looks at it; closed again whatever happens. */
async function of(release: Release, look: () => Promise<void>): Promise<void> {
  pool = await PoolUnderTest.start({ release });
  try {
    await look();
  } finally {
    await pool.close();
  }
}

const hostRecord = async (): Promise<Fields> => pool.record('host', await pool.only('host'));

describe('releases', () => {
  it.each<[Release, number, string, string]>([
    ['6.5', 3, '6.5.0', 'XenServer'],
    ['7.0', 5, '7.0.0', 'XenServer'],
    ['7.3', 8, '7.3.0', 'XenServer'],
    ['8.2', 15, '8.2.1', 'XenServer'],
    ['8.3', 21, '8.4.0', 'XenServer'],
    ['xcp-8.3', 21, '8.3.0', 'XCP-ng'],
  ])('%s says API 2.%i, version %s of %s', async (release, minor, version, brand) => {
    await of(release, async () => {
      const host = await hostRecord();
      expect(host).toMatchObject({ API_version_major: 2, API_version_minor: minor });
      expect(host['software_version']).toMatchObject({ product_version: version, product_brand: brand });
    });
  });

  it('6.5 answers JSON-RPC 2.0 in the shape of 1.0, errors too', async () => {
    await of('6.5', async () => {
      const request = { jsonrpc: '2.0', id: 7, method: 'VM.get_by_uuid', params: [pool.session, 'x'] };
      const reply = await pool.post(JSON.stringify(request));
      expect(reply).toEqual({ result: null, error: ['UUID_INVALID', 'VM', 'x'], id: 7 });
    });
  });

  it('6.5 knows no CBT, no vTPM, no purpose of networks: neither messages nor fields', async () => {
    await of('6.5', async () => {
      const vdi = await pool.createVdi();
      expect(await pool.failure('VDI.enable_cbt', vdi)).toEqual(['MESSAGE_METHOD_UNKNOWN', 'VDI.enable_cbt']);
      expect(await pool.record('VDI', vdi)).not.toHaveProperty('cbt_enabled');
      const vm = await pool.record('VM', await pool.createVm());
      for (const newer of ['domain_type', 'NVRAM', 'snapshot_schedule', 'VUSBs'])
        expect(vm).not.toHaveProperty(newer);
      expect((await pool.failure('VTPM.get_all_records'))[0]).toBe('MESSAGE_METHOD_UNKNOWN');
      expect(pool.pool.hosts[0]?.nbdPort).toBeNull();
    });
  });

  it('7.3 brings CBT', async () => {
    await of('7.3', async () => {
      expect(await pool.call('VDI.enable_cbt', await pool.createVdi())).toBe('');
    });
  });

  it('8.2 counts a third argument of VM.snapshot as one too many, 8.3 takes it', async () => {
    const ignoring = async (): Promise<readonly string[] | string> => {
      const vm = await pool.createVm();
      return pool.ref('VM.snapshot', vm, 's', []).catch(() => pool.failure('VM.snapshot', vm, 's', []));
    };
    await of('8.2', async () => {
      expect(await ignoring()).toEqual(['MESSAGE_PARAMETER_COUNT_MISMATCH', 'VM.snapshot', '2', '3']);
    });
    await of('8.3', async () => {
      expect(await ignoring()).toContain('OpaqueRef:');
    });
  });

  it('older releases demand the names in constructors', async () => {
    await of('7.0', async () => {
      const record = {
        SR: await pool.only('SR'),
        virtual_size: 1,
        type: 'user',
        sharable: false,
        read_only: false,
      };
      const failure = await pool.failure('VDI.create', { ...record, other_config: {} });
      expect(failure).toEqual(['INTERNAL_ERROR', 'Server_helpers.Dispatcher_FieldNotFound("name_label")']);
    });
  });

  it('long heads are refused since 8.3 only', async () => {
    const status = async (): Promise<number> => {
      const headers = { 'x-filler': 'a'.repeat(2000), connection: 'close' };
      return (await fetch(`${pool.url}/`, { method: 'OPTIONS', headers })).status;
    };
    await of('8.2', async () => expect(await status()).toBe(200));
    await of('8.3', async () => expect(await status()).toBe(431));
  });

  it('6.5 speaks TLS 1.0 only, later releases 1.2 and above', async () => {
    const protocol = (legacy: boolean): Promise<string | null> => {
      const { hostname, port } = new URL(pool.pool.url);
      const old = legacy ? { minVersion: 'TLSv1' as const, ciphers: 'DEFAULT@SECLEVEL=0' } : {};
      return new Promise((resolve) => {
        const socket = connect(
          { host: hostname, port: Number(port), rejectUnauthorized: false, ...old },
          () => {
            resolve(socket.getProtocol());
            socket.destroy();
          },
        );
        socket.on('error', () => resolve(null));
      });
    };
    await of('6.5', async () => {
      expect(await protocol(false)).toBeNull();
      expect(await protocol(true)).toBe('TLSv1');
    });
    await of('8.2', async () => expect(await protocol(false)).toBe('TLSv1.3'));
  });

  it('the list of methods of 8.3 is that of the recorded server', async () => {
    await of('xcp-8.3', async () => {
      const recorded: Readonly<Record<string, readonly string[]>> = reference.classes;
      const expected = Object.entries(recorded).flatMap(([name, methods]) =>
        methods.map((method) => `${name}.${method}`),
      );
      const listed = (await pool.raw('system.listMethods', [])) as string[];
      expect([...listed].sort()).toEqual(expected.sort());
      expect(text(listed[0])).toContain('.');
    });
  });
});
