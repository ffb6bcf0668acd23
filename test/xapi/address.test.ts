import fc from 'fast-check';
import { formatAddress, parseAddress, parsePoolUrl, urlHostname } from '../../lib/xapi/address';
import type { PoolEndpoint } from '../../lib/xapi';

describe('addresses of hosts', () => {
  it.each([
    ['10.0.0.1', { hostname: '10.0.0.1', port: 443 }],
    ['10.0.0.1:8443', { hostname: '10.0.0.1', port: 8443 }],
    ['host.example', { hostname: 'host.example', port: 443 }],
    ['2001:db8::1', { hostname: '2001:db8::1', port: 443 }],
    ['[2001:db8::1]', { hostname: '2001:db8::1', port: 443 }],
    ['[2001:db8::1]:8443', { hostname: '2001:db8::1', port: 8443 }],
  ])('%s', (text, address) => {
    expect(parseAddress(text, 443)).toEqual(address);
  });

  it.each(['', 'a b', 'https://10.0.0.1', '10.0.0.1:', '10.0.0.1:x', 'user@host/path'])(
    '"%s" is none',
    (text) => {
      expect(() => parseAddress(text, 443)).toThrow(RangeError);
    },
  );

  it('can be written and read again', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()),
        fc.integer({ min: 1, max: 65535 }),
        (hostname, port) => {
          const written = formatAddress({ hostname, port });
          expect(parseAddress(written, 443)).toEqual({ hostname: hostname.toLowerCase(), port });
          expect(new URL(`https://${written}/`).port).toBe(port === 443 ? '' : String(port));
        },
      ),
    );
  });

  it('stand in brackets in a URL where they are IPv6', () => {
    expect(urlHostname({ hostname: '::1', port: 443 })).toBe('[::1]');
  });
});

describe('the URL of a pool', () => {
  function endpoint(url: string, insecure = false): PoolEndpoint {
    return {
      name: 'paris',
      url,
      username: 'root',
      password: () => Promise.resolve(''),
      tls: insecure ? { kind: 'insecure' } : { kind: 'ca', pem: null },
      legacyTls: false,
    };
  }

  it.each([
    ['https://10.0.0.1', { secure: true, hostname: '10.0.0.1', port: 443 }],
    ['https://10.0.0.1:8443/', { secure: true, hostname: '10.0.0.1', port: 8443 }],
    ['https://[2001:db8::1]', { secure: true, hostname: '2001:db8::1', port: 443 }],
  ])('%s', (url, parsed) => {
    expect(parsePoolUrl(endpoint(url))).toEqual(parsed);
  });

  it('may be plain http where nothing is to be proved', () => {
    expect(parsePoolUrl(endpoint('http://10.0.0.1', true))).toEqual({
      secure: false,
      hostname: '10.0.0.1',
      port: 80,
    });
  });

  it.each([
    ['10.0.0.1', 'its url is not one of a pool'],
    ['ftp://10.0.0.1', 'its url is not one of a pool'],
    ['https://10.0.0.1/?a=b', 'its url is not one of a pool'],
    ['https://10.0.0.1/xapi', 'its url has the path "/xapi"'],
    ['http://10.0.0.1', 'plain http'],
  ])('%s is refused: %s', (url, reason) => {
    expect(() => parsePoolUrl(endpoint(url))).toThrow(reason);
  });

  it('with credentials is refused without repeating them', () => {
    const refuse = (): unknown => parsePoolUrl(endpoint('https://root:hunter2@10.0.0.1'));
    expect(refuse).toThrow('its url holds credentials');
    expect(refuse).not.toThrow('hunter2');
  });
});
