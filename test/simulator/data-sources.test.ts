/** What a host tells of how busy its control domain is. */
import { PoolUnderTest } from './pool-under-test';

const readerOnly = { name: 'reader', password: 'x', role: 'read-only' } as const;

function start(): Promise<PoolUnderTest> {
  const hosts = [{ name: 'host1' }, { name: 'host2', controlDomainLoad: null }];
  return PoolUnderTest.start({ hosts, users: [readerOnly] });
}

async function hostRef(pool: PoolUnderTest, name: string): Promise<string> {
  const [ref] = (await pool.call('host.get_by_name_label', name)) as readonly string[];
  return ref ?? 'none';
}

describe('the load average of a control domain', () => {
  let pool: PoolUnderTest;
  beforeEach(async () => {
    pool = await start();
  });
  afterEach(() => pool.close());

  it('is small unless somebody says otherwise, and any role may ask for it', async () => {
    const host = await hostRef(pool, 'host1');
    const session = await pool.raw('session.login_with_password', ['reader', 'x', '1.0', 'test']);

    expect(await pool.raw('host.query_data_source', [session, host, 'loadavg'])).toBe(0.25);
    await pool.pool.control.setControlDomainLoad('host1', 17.5);
    expect(await pool.raw('host.query_data_source', [session, host, 'loadavg'])).toBe(17.5);
    await expect(pool.pool.control.setControlDomainLoad('host1', -1)).rejects.toThrow('from 0 on');
  });

  it('is listed with the data sources of the host, and not enabled where it is not recorded', async () => {
    const listed = async (name: string): Promise<unknown> =>
      pool.call('host.get_data_sources', await hostRef(pool, name));
    const loadavg = { name_label: 'loadavg', standard: true };
    expect(await listed('host1')).toMatchObject([{ ...loadavg, enabled: true }]);
    expect(await listed('host2')).toMatchObject([{ ...loadavg, enabled: false }]);
  });

  it('cannot be asked for where it is not recorded, nor can what no host has', async () => {
    const [first, second] = [await hostRef(pool, 'host1'), await hostRef(pool, 'host2')];
    expect(await pool.failure('host.query_data_source', second, 'loadavg')).toEqual([
      'INTERNAL_ERROR',
      expect.stringContaining('Invalid_data_source("loadavg")'),
    ]);
    expect((await pool.failure('host.query_data_source', first, 'nonsense'))[0]).toBe('INTERNAL_ERROR');
    expect(await pool.failure('host.query_data_source', 'OpaqueRef:x', 'loadavg')).toEqual([
      'HANDLE_INVALID',
      'host',
      'OpaqueRef:x',
    ]);
  });

  it('is not told of a host that is switched off', async () => {
    const host = await hostRef(pool, 'host2');
    await pool.pool.control.setHostOffline('host2');
    expect(await pool.failure('host.query_data_source', host, 'loadavg')).toEqual(['HOST_OFFLINE', host]);
  });
});
