import { formatXapiDate, Pool, TransportError, XapiError } from '../../lib/xapi';
import { ApiFailure, FakePool, PASSWORD } from './fake-pool';
import type { Dialect } from './fake-rpc';

describe('connecting to a pool', () => {
  let fake: FakePool;
  let pool: Pool | undefined;

  async function start(options: Parameters<typeof FakePool.start>[0] = {}): Promise<void> {
    fake = await FakePool.start(options);
  }

  afterEach(async () => {
    await pool?.disconnect();
    pool = undefined;
    await fake.close();
  });

  it.each<Dialect>(['json-rpc 2.0', 'json-rpc 1.0', 'xml-rpc'])('works over %s', async (dialect) => {
    await start({ dialect });
    pool = await Pool.connect(fake.endpoint());
    expect(pool.label).toBe('Paris');
    expect(pool.apiVersion).toEqual({ major: 2, minor: 21 });
    expect(pool.coordinator).toBe(fake.coordinator.ref);
    expect(pool.sessionRef).toBe(fake.session);
  });

  it('names itself to the pool, so that its sessions are told from others', async () => {
    await start();
    pool = await Pool.connect(fake.endpoint());
    const login = fake.calls.find((call) => call.method === 'session.login_with_password');
    expect(login?.params).toEqual(['root', PASSWORD, '1.0', 'xenrepl']);
  });

  it('goes to the coordinator a member names, port included', async () => {
    await start({ hosts: 2 });
    pool = await Pool.connect(fake.endpoint({ url: fake.url(fake.host(1)) }));
    expect(pool.coordinator).toBe(fake.coordinator.ref);
    await pool.call('pool.get_record', [pool.ref]);
    expect(fake.coordinator.received.toString()).toContain('pool.get_record');
  });

  it('goes to another port where the member names one', async () => {
    await start();
    const elsewhere = await FakePool.start();
    fake.handlers.set('session.login_with_password', () => {
      throw new ApiFailure('HOST_IS_SLAVE', `${elsewhere.coordinator.address}:${elsewhere.port}`);
    });
    const sha256 = [fake, elsewhere].map((site) => site.coordinator.certificate.fingerprint);
    pool = await Pool.connect(fake.endpoint({ tls: { kind: 'fingerprints', sha256 } }));
    expect(elsewhere.count('session.login_with_password')).toBe(1);
    await pool.disconnect();
    await elsewhere.close();
  });

  it.each([
    ['2.2', { major: 2, minor: 2 }],
    ['1.20', { major: 1, minor: 20 }],
  ])('refuses API %s and says what it found', async (text, apiVersion) => {
    await start({ apiVersion });
    const refused = Pool.connect(fake.endpoint());
    await expect(refused).rejects.toThrow(
      `pool "paris": coordinator "host-0" runs XenServer 6.2.0 (API ${text}): XenServer 6.5 or newer is needed`,
    );
    await expect(refused).rejects.toMatchObject({ retry: 'never' });
    expect(fake.count('session.logout')).toBe(1);
  });

  it('takes API 2.3, which XenServer 6.5 has', async () => {
    await start({ apiVersion: { major: 2, minor: 3 } });
    pool = await Pool.connect(fake.endpoint());
    expect(pool.apiVersion).toEqual({ major: 2, minor: 3 });
  });

  it('reports a wrong password as permanent, without the password', async () => {
    await start();
    fake.handlers.set('session.login_with_password', () => {
      throw new ApiFailure('SESSION_AUTHENTICATION_FAILED', 'root', 'Authentication failure');
    });
    const refused: unknown = await Pool.connect(fake.endpoint()).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(XapiError);
    expect(refused).toMatchObject({ code: 'SESSION_AUTHENTICATION_FAILED', retry: 'never' });
    expect(JSON.stringify(refused, Object.getOwnPropertyNames(refused))).not.toContain(PASSWORD);
  });

  it('says that nobody listens there', async () => {
    await start();
    const endpoint = fake.endpoint();
    await fake.close();
    const refused = Pool.connect(endpoint);
    await expect(refused).rejects.toBeInstanceOf(TransportError);
    await expect(refused).rejects.toMatchObject({ kind: 'connection', retry: 'later' });
  });

  it('gives up when its caller does', async () => {
    await start();
    const controller = new AbortController();
    fake.handlers.set('session.login_with_password', () => {
      controller.abort();
      return new Promise(() => undefined);
    });
    const refused = Pool.connect(fake.endpoint(), { signal: controller.signal });
    await expect(refused).rejects.toMatchObject({ kind: 'aborted' });
  });

  it('gives up when the whole takes too long', async () => {
    await start();
    fake.handlers.set('host.get_record', () => new Promise(() => undefined));
    const refused = Pool.connect(fake.endpoint(), { timeoutMs: 1_500 });
    await expect(refused).rejects.toMatchObject({ kind: 'timeout', retry: 'later' });
    await expect(refused).rejects.toThrow('not logged in within 1500 ms');
    expect(fake.count('session.logout')).toBe(1);
  });

  it('logs out once, and only within a bound', async () => {
    await start();
    pool = await Pool.connect(fake.endpoint());
    await Promise.all([pool.disconnect(), pool.disconnect()]);
    expect(fake.count('session.logout')).toBe(1);
    await expect(pool.call('pool.get_all', [])).rejects.toThrow('not logged in');
  });

  it('leaves a pool that is gone without an error', async () => {
    await start();
    pool = await Pool.connect(fake.endpoint());
    await fake.close();
    await pool.disconnect();
  });

  it("reads the coordinator's clock", async () => {
    await start();
    fake.handlers.set('host.get_servertime', () => '20240131T13:20:11Z');
    pool = await Pool.connect(fake.endpoint());
    expect(formatXapiDate(await pool.serverTime())).toBe('20240131T13:20:11Z');
  });

  it('reads what the user may do, once for each session', async () => {
    await start();
    let asked = 0;
    fake.handlers.set('session.get_is_local_superuser', () => {
      asked += 1;
      return false;
    });
    fake.handlers.set('session.get_rbac_permissions', () => ['VM.snapshot', 'http/put_import_raw_vdi']);
    pool = await Pool.connect(fake.endpoint());
    expect(await pool.permissions()).toEqual(new Set(['vm.snapshot', 'http/put_import_raw_vdi']));
    expect(await pool.permissions()).toEqual(new Set(['vm.snapshot', 'http/put_import_raw_vdi']));
    expect(asked).toBe(1);
  });

  it('knows the superuser, whose permissions are not listed', async () => {
    await start();
    fake.handlers.set('session.get_is_local_superuser', () => true);
    pool = await Pool.connect(fake.endpoint());
    expect(await pool.permissions()).toBe('all');
  });

  it('tells of every message it sends', async () => {
    await start();
    const told: string[] = [];
    pool = await Pool.connect(fake.endpoint(), { onCall: (method) => told.push(method) });
    await pool.call('pool.get_record', [pool.ref]);
    await pool.disconnect();
    expect(told).toEqual(fake.calls.map((call) => call.method));
  });
});
