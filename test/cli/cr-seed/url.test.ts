import { endpointFor, parseXapiUrl } from '../../../lib/cli/cr-seed/url';
import type { PoolsFile } from '../../../lib/pools';

describe('URLs as xo-cr-seed takes them', () => {
  test.each([
    ['https://root:secret@10.0.0.1', 'https:', '10.0.0.1', 'root', 'secret'],
    ['root:secret@10.0.0.1', 'https:', '10.0.0.1', 'root', 'secret'],
    ['https://root:p@ss:w/o%23rd@host.example:8443/', 'https:', 'host.example:8443', 'root', 'p@ss:w/o#rd'],
    ['https://root:100%@host', 'https:', 'host', 'root', '100%'],
    ['http://root:secret@host:80', 'http:', 'host', 'root', 'secret'],
    ['https://[2001:db8::1]', 'https:', '[2001:db8::1]', null, null],
    ['https://HOST', 'https:', 'host', null, null],
    ['https://domain%5Cuser:x@host', 'https:', 'host', 'domain\\user', 'x'],
  ])('%s', (text, protocol, host, username, password) => {
    expect(parseXapiUrl(text, 'source')).toEqual({ protocol, host, username, password });
  });

  test.each([
    '',
    'https://',
    'ftp://host',
    'ftp://root:secret@host',
    'https://root:secret@',
    'https://root:secret@ho st',
    'https://h:999999',
  ])('what is none is refused, and not repeated: %j', (text) => {
    const refuse = (): unknown => parseXapiUrl(text, 'target');
    expect(refuse).toThrow('The target URL is none of a pool');
    expect(refuse).not.toThrow('secret');
  });
});

describe('whom to trust, and who we are', () => {
  const pools: PoolsFile = {
    path: 'xenrepl.yaml',
    pools: new Map([
      [
        'paris',
        {
          name: 'paris',
          url: 'https://10.0.0.1',
          username: 'operator',
          password: () => Promise.resolve('from the file'),
          tls: { kind: 'fingerprints', sha256: ['ab'] },
          legacyTls: false,
        },
      ],
    ]),
  };
  const at = (text: string): ReturnType<typeof parseXapiUrl> => parseXapiUrl(text, 'source');

  test('a host of the pools file is trusted as it says, and called as it calls it', async () => {
    const found = endpointFor(at('https://root:secret@10.0.0.1'), 'source', { pools, insecure: false });
    expect(found).toMatchObject({
      name: 'paris',
      username: 'root',
      tls: { kind: 'fingerprints', sha256: ['ab'] },
    });
    expect(await found.password()).toBe('secret');
  });

  test('without a user in the URL the one of the pools file is taken', async () => {
    const found = endpointFor(at('https://10.0.0.1'), 'source', { pools, insecure: false });
    expect([found.username, await found.password()]).toEqual(['operator', 'from the file']);
  });

  test('another host must be signed by an authority, unless told otherwise', () => {
    const url = at('https://root:secret@10.0.0.9');
    expect(endpointFor(url, 'source', { pools, insecure: false }).tls).toEqual({ kind: 'ca', pem: null });
    expect(endpointFor(url, 'source', { pools, insecure: true }).tls).toEqual({ kind: 'insecure' });
  });

  test('nobody to be, or a password in the clear, is refused', () => {
    expect(() => endpointFor(at('https://10.0.0.9'), 'source', { pools, insecure: false })).toThrow(
      'names no user, and no pools file knows host 10.0.0.9',
    );
    expect(() => endpointFor(at('http://root:x@10.0.0.9'), 'source', { pools, insecure: false })).toThrow(
      'sends the password in the clear',
    );
  });
});
