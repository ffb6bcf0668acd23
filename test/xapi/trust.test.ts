import { Pool, TransportError, type PoolEndpoint, type Ref } from '../../lib/xapi';
import { selfSigned, signedFor } from './certificates';
import { FakePool, SR, VDI, type FakeHost } from './fake-pool';

const STRANGER = 'AA'.repeat(32);
const EXPORT = { vdi: VDI as Ref<'VDI'>, sr: SR as Ref<'SR'>, label: 'run 1' };

describe('certificates are proved before anything is sent', () => {
  let fake: FakePool;
  let pool: Pool | undefined;

  afterEach(async () => {
    await pool?.disconnect();
    pool = undefined;
    await fake.close();
  });

  function pinned(...hosts: readonly FakeHost[]): Partial<PoolEndpoint> {
    return { tls: { kind: 'fingerprints', sha256: hosts.map((host) => host.certificate.fingerprint) } };
  }

  /** Not a byte above TLS arrived, and the host was really asked: a test that reached nobody would prove nothing. */
  async function expectUntold(host: FakeHost): Promise<void> {
    await fake.deserted(host);
    expect(host.connections).toBeGreaterThan(0);
    expect(host.received.toString('latin1')).toBe('');
  }

  describe('the host of the URL', () => {
    it('is refused with another fingerprint than those pinned', async () => {
      fake = await FakePool.start();
      const refused = Pool.connect(fake.endpoint({ tls: { kind: 'fingerprints', sha256: [STRANGER] } }));
      await expect(refused).rejects.toMatchObject({ kind: 'tls', retry: 'never' });
      await expect(refused).rejects.toThrow(
        `has the SHA-256 fingerprint ${fake.coordinator.certificate.fingerprint}, which is not pinned`,
      );
      await expectUntold(fake.coordinator);
    });

    it('is taken with its fingerprint in any case, with or without colons', async () => {
      fake = await FakePool.start();
      const bare = fake.coordinator.certificate.fingerprint.replaceAll(':', '').toLowerCase();
      pool = await Pool.connect(fake.endpoint({ tls: { kind: 'fingerprints', sha256: [STRANGER, bare] } }));
      expect(pool.label).toBe('Paris');
    });

    it.each([[[]], [['AA:BB']], [[STRANGER, 'sha256']]])(
      'is not even asked with fingerprints %j',
      async (sha256) => {
        fake = await FakePool.start();
        const refused = Pool.connect(fake.endpoint({ tls: { kind: 'fingerprints', sha256 } }));
        await expect(refused).rejects.toThrow('its fingerprints are not SHA-256 digests');
        expect(fake.coordinator.connections).toBe(0);
      },
    );

    it('is refused by an authority that did not sign its certificate', async () => {
      fake = await FakePool.start();
      const { cert: pem } = await selfSigned('another authority');
      const refused = Pool.connect(fake.endpoint({ tls: { kind: 'ca', pem } }));
      await expect(refused).rejects.toThrow('is not signed by a trusted authority');
      await expectUntold(fake.coordinator);
    });

    it('is refused by the authorities of the system', async () => {
      fake = await FakePool.start();
      const refused = Pool.connect(fake.endpoint({ tls: { kind: 'ca', pem: null } }));
      await expect(refused).rejects.toMatchObject({ kind: 'tls' });
      await expectUntold(fake.coordinator);
    });

    it('is taken when its authority signed it for this address', async () => {
      const { authority, host } = await signedFor('127.0.0.1');
      fake = await FakePool.start({ certificate: host });
      pool = await Pool.connect(fake.endpoint({ tls: { kind: 'ca', pem: authority.cert } }));
      expect(pool.label).toBe('Paris');
    });

    it('is refused when its authority signed it for another address', async () => {
      const { authority, host } = await signedFor('192.0.2.1');
      fake = await FakePool.start({ certificate: host });
      const refused = Pool.connect(fake.endpoint({ tls: { kind: 'ca', pem: authority.cert } }));
      await expect(refused).rejects.toMatchObject({ kind: 'tls' });
      await expectUntold(fake.coordinator);
    });
  });

  describe('another host', () => {
    it('that a member names as coordinator is refused unless it is pinned', async () => {
      fake = await FakePool.start({ hosts: 2 });
      const member = fake.host(1);
      const refused = Pool.connect(fake.endpoint({ url: fake.url(member), ...pinned(member) }));
      await expect(refused).rejects.toMatchObject({ kind: 'tls', retry: 'never' });
      await expectUntold(fake.coordinator);
    });

    it('that a transfer is redirected to is refused when the coordinator does not vouch for it', async () => {
      fake = await FakePool.start({ hosts: 2 });
      const member = fake.host(1);
      fake.handlers.delete('host.get_server_certificate');
      redirectTo(member);
      pool = await Pool.connect(fake.endpoint(pinned(fake.coordinator)));
      await expect(pool.openExport(EXPORT)).rejects.toMatchObject({ kind: 'tls', retry: 'never' });
      await expectUntold(member);
      expect(fake.tasks.size).toBe(0);
    });

    it('is refused when it shows another certificate than the coordinator knows of it', async () => {
      fake = await FakePool.start({ hosts: 2 });
      const other = await selfSigned('somebody in between');
      fake.handlers.set('host.get_server_certificate', () => other.cert);
      redirectTo(fake.host(1));
      pool = await Pool.connect(fake.endpoint(pinned(fake.coordinator)));
      await expect(pool.openExport(EXPORT)).rejects.toMatchObject({ kind: 'tls' });
      await expectUntold(fake.host(1));
    });

    it('is taken when the coordinator vouches for it', async () => {
      fake = await FakePool.start({ hosts: 2 });
      redirectTo(fake.host(1));
      pool = await Pool.connect(fake.endpoint(pinned(fake.coordinator)));
      const download = await pool.openExport(EXPORT);
      await download.abort();
      expect(fake.host(1).received.toString()).toContain('GET /export_raw_vdi');
    });

    it('is not asked about when its own fingerprint is pinned', async () => {
      fake = await FakePool.start({ hosts: 2 });
      redirectTo(fake.host(1));
      pool = await Pool.connect(fake.endpoint(pinned(fake.coordinator, fake.host(1))));
      const download = await pool.openExport(EXPORT);
      await download.abort();
      expect(fake.count('host.get_server_certificate')).toBe(0);
    });

    function redirectTo(host: FakeHost): void {
      fake.onTransfer = (transfer) => {
        transfer.socket.write(
          transfer.host === host
            ? 'HTTP/1.1 200 OK\r\ncontent-type:application/vhd\r\n\r\n'
            : `HTTP/1.1 302 Found\r\nLocation: ${fake.url(host)}${transfer.url.pathname}${transfer.url.search}\r\n\r\n`,
        );
      };
    }
  });

  describe('what weakens the proof', () => {
    const warnings: string[] = [];
    const onWarning = (text: string): void => void warnings.push(text);

    beforeEach(() => {
      warnings.length = 0;
    });

    it('insecure takes any certificate and warns on every connect', async () => {
      fake = await FakePool.start();
      const endpoint = fake.endpoint({ tls: { kind: 'insecure' } });
      pool = await Pool.connect(endpoint, { onWarning });
      await pool.disconnect();
      pool = await Pool.connect(endpoint, { onWarning });
      expect(warnings).toEqual(
        Array(2).fill('pool "paris": insecure is set: whoever answers at this address gets the password'),
      );
    });

    it('plain http is refused unless insecure is written out, and warns then', async () => {
      fake = await FakePool.start({ plainHttp: true });
      await expect(Pool.connect(fake.endpoint())).rejects.toThrow(
        'plain http, which sends the password in the clear',
      );
      expect(fake.coordinator.connections).toBe(0);
      pool = await Pool.connect(fake.endpoint({ tls: { kind: 'insecure' } }), { onWarning });
      expect(warnings).toEqual([
        'pool "paris": the connection is plain http: the password is sent in the clear',
      ]);
    });

    it('TLS 1.0 is refused, and the error names legacy_tls', async () => {
      fake = await FakePool.start({
        tls: { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' },
      });
      const refused = Pool.connect(fake.endpoint());
      await expect(refused).rejects.toThrow('needs legacy_tls: true and its fingerprint pinned');
      await expect(refused).rejects.toMatchObject({ kind: 'tls', retry: 'never' });
    });

    it('legacy_tls takes TLS 1.0 with the right fingerprint, and warns', async () => {
      fake = await FakePool.start({
        tls: { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' },
      });
      pool = await Pool.connect(fake.endpoint({ legacyTls: true }), { onWarning });
      expect(warnings).toEqual([
        'pool "paris": legacy_tls is set: TLS 1.0 can be read and altered on the way',
      ]);
    });

    it('legacy_tls takes no other fingerprint', async () => {
      fake = await FakePool.start({
        tls: { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' },
      });
      const refused = Pool.connect(
        fake.endpoint({ legacyTls: true, tls: { kind: 'fingerprints', sha256: [STRANGER] } }),
      );
      await expect(refused).rejects.toMatchObject({ kind: 'tls' });
      await expectUntold(fake.coordinator);
    });

    it('legacy_tls without fingerprints is refused', async () => {
      fake = await FakePool.start();
      const refused = Pool.connect(fake.endpoint({ legacyTls: true, tls: { kind: 'ca', pem: null } }));
      await expect(refused).rejects.toBeInstanceOf(TransportError);
      await expect(refused).rejects.toThrow('legacy_tls is set without fingerprints');
    });
  });
});
