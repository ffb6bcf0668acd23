import { inspect } from 'node:util';
import { Xapi } from 'xen-api';
import { version } from 'xen-api/package.json';
import { Pool } from '../../lib/xapi';
import { FakePool, PASSWORD } from './fake-pool';

/**
 * lib/xapi leans on members of xen-api that are not public. They were read in 4.7.6: with another version all of this has
 * to be looked at again before the number here is changed.
 */
describe('xen-api, the parts that are not public', () => {
  it('is the version that was read', () => {
    expect(version).toBe('4.7.6');
  });

  it('has the members we use', () => {
    const xapi = new Xapi({
      url: 'https://192.0.2.1:444',
      auth: { user: 'root', password: undefined },
      watchEvents: false,
      callConcurrency: Infinity,
      syncStackTraces: false,
      transport: 'json-rpc',
    });
    expect(xapi).toMatchObject({
      _url: { protocol: 'https:', hostname: '192.0.2.1', port: '444', pathname: '/' },
      _auth: { user: 'root' },
      status: 'disconnected',
      pool: null,
    });
    for (const name of ['_call', '_transport', '_setUrl', '_sessionOpen', 'connect', 'disconnect'] as const)
      expect(typeof xapi[name]).toBe('function');
    expect(xapi._undiciDispatcher).toBeDefined();
    expect(typeof xapi._createTransport).toBe('function');
  });

  it.each(['json-rpc', 'xml-rpc'] as const)(
    'reaches its dispatcher before it first waits (%s): only so a request is known to belong to a call',
    async (transport) => {
      const xapi = new Xapi({
        url: 'https://192.0.2.1:444',
        auth: { user: 'root', password: undefined },
        watchEvents: false,
        callConcurrency: Infinity,
        syncStackTraces: false,
        transport,
      });
      let reached = 0;
      xapi._undiciDispatcher = {
        dispatch: (): boolean => {
          reached += 1;
          throw new Error('far enough');
        },
      };
      xapi._setUrl(xapi._url);
      const answer = xapi._transport('VM.get_all', ['session']);
      expect(reached).toBe(1);
      await expect(answer).rejects.toThrow('far enough');
    },
  );

  it('a request that xen-api would make by itself is refused, not sent without a bound', async () => {
    const fake = await FakePool.start();
    const clients = new Set<Xapi>();
    const setUrl: Xapi['_setUrl'] = Reflect.get(Xapi.prototype, '_setUrl');
    const spy = jest.spyOn(Xapi.prototype, '_setUrl').mockImplementation(function (this: Xapi, url) {
      clients.add(this);
      setUrl.call(this, url);
    });
    const pool = await Pool.connect(fake.endpoint());
    spy.mockRestore();
    const before = fake.calls.length;
    for (const client of clients)
      await expect(client._transport('VM.get_all', [fake.session])).rejects.toThrow('outside of any call');
    expect(clients.size).toBe(1);
    expect(fake.calls.length).toBe(before);
    await pool.disconnect();
    await fake.close();
  });

  it('sends everything through the transport we give it: a host it would trust by itself gets nothing', async () => {
    const fake = await FakePool.start();
    const refused = Pool.connect(fake.endpoint({ tls: { kind: 'fingerprints', sha256: ['00'.repeat(32)] } }));
    await expect(refused).rejects.toMatchObject({ kind: 'tls' });
    await fake.deserted(fake.coordinator);
    expect(fake.coordinator.received.length).toBe(0);
    await fake.close();
  });

  it('asks for the password at each login and keeps it no longer', async () => {
    const fake = await FakePool.start();
    let asked = 0;
    const password = (): Promise<string> => {
      asked += 1;
      return Promise.resolve(PASSWORD);
    };
    const clients = new Set<Xapi>();
    const setUrl: Xapi['_setUrl'] = Reflect.get(Xapi.prototype, '_setUrl');
    const spy = jest.spyOn(Xapi.prototype, '_setUrl').mockImplementation(function (this: Xapi, url) {
      clients.add(this);
      setUrl.call(this, url);
    });
    const pool = await Pool.connect(fake.endpoint({ password }));
    spy.mockRestore();
    expect(clients.size).toBe(1);
    expect(inspect([...clients, pool], { depth: Infinity, showHidden: true })).not.toContain(PASSWORD);
    fake.session = 'OpaqueRef:5e551000-0000-4000-8000-000000000002';
    await pool.call('pool.get_record', [pool.ref]);
    expect(asked).toBe(2);
    await pool.disconnect();
    await fake.close();
  });
});
