import { chmodSync } from 'node:fs';
import { inspect } from 'node:util';
import { endpoint, loadPoolsFile, type PoolsFile } from '../../lib/pools';
import { messageOf, TestFolder } from './folder';

let folder: TestFolder;

beforeEach(() => {
  folder = new TestFolder();
});

afterEach(() => {
  folder.remove();
});

const digest = '0123456789abcdef'.repeat(4);
const withColons = (digest.toUpperCase().match(/../g) ?? []).join(':');

/** A file with one pool "paris" of these settings, each on its line: the first one is line 3. */
const paris = (...settings: string[]): string =>
  ['pools:', '  paris:', ...settings.map((line) => `    ${line}`), ''].join('\n');
const basics = ['url: https://10.0.0.1', 'username: root'];
const load = (text: string, env: NodeJS.ProcessEnv = {}): PoolsFile =>
  loadPoolsFile(folder.write('pools.yaml', text), env);
const fault = (text: string): string => messageOf(folder, () => load(text));

describe('a good file', () => {
  it('gives each pool as an endpoint', () => {
    const file = load(
      [
        'pools:',
        '  paris:',
        '    url: https://10.0.0.1',
        '    username: root',
        '    password: hunter2',
        `    fingerprints: ["${withColons}", ${digest}]`,
        '    legacy_tls: true',
        '  london.dr-2:',
        '    url: https://xen.example.com:8443/',
        '    username: ops@example.com',
        '    password: hunter3',
      ].join('\n'),
    );

    expect([...file.pools.keys()]).toEqual(['paris', 'london.dr-2']);
    expect(endpoint(file, 'paris')).toMatchObject({
      name: 'paris',
      url: 'https://10.0.0.1',
      username: 'root',
      tls: { kind: 'fingerprints', sha256: [digest, digest] },
      legacyTls: true,
    });
    expect(endpoint(file, 'london.dr-2')).toMatchObject({
      url: 'https://xen.example.com:8443',
      username: 'ops@example.com',
      tls: { kind: 'ca', pem: null },
      legacyTls: false,
    });
  });

  it('may trust an authority of its own', () => {
    const pem = '-----BEGIN CERTIFICATE-----\nMII…\n-----END CERTIFICATE-----\n';
    folder.write('tls/ca.pem', pem, 0o644);

    expect(endpoint(load(paris(...basics, 'password: x', 'ca_file: tls/ca.pem')), 'paris').tls).toEqual({
      kind: 'ca',
      pem,
    });
  });

  it.each(['https://10.0.0.1', 'http://10.0.0.1', 'http://[::1]:8080'])(
    'may trust anybody, said in words: %s',
    (url) => {
      const one = endpoint(
        load(paris(`url: ${url}`, 'username: root', 'password: x', 'insecure: true')),
        'paris',
      );

      expect([one.url, one.tls]).toEqual([url, { kind: 'insecure' }]);
    },
  );
});

describe('a password', () => {
  it.each([
    ['in the file', 'password: hunter2'],
    ['that looks like a number, kept as written', 'password: 0123'],
    ['that looks like a word of YAML', 'password: yes'],
    ['in quotes, with any characters', 'password: "*&!: #@"'],
  ])('%s', async (_where, line) => {
    const wanted = line.replace('password: ', '').replaceAll('"', '');

    await expect(endpoint(load(paris(...basics, line)), 'paris').password()).resolves.toBe(wanted);
  });

  it('in a file beside the pools file, read when it is needed', async () => {
    const file = load(paris(...basics, 'password_file: secrets/paris'));
    folder.write('secrets/paris', ' hunter2 \n');

    await expect(endpoint(file, 'paris').password()).resolves.toBe(' hunter2 ');
  });

  it('in the environment, read when it is needed', async () => {
    const env: NodeJS.ProcessEnv = {};
    const file = load(paris(...basics, 'password_env: PARIS_PASSWORD'), env);
    env['PARIS_PASSWORD'] = 'hunter2';

    await expect(endpoint(file, 'paris').password()).resolves.toBe('hunter2');
  });

  it.each([{}, { PARIS_PASSWORD: '' }])('in an environment without it (%j) names the line', async (env) => {
    const file = load(paris(...basics, 'password_env: PARIS_PASSWORD'), env);

    await expect(endpoint(file, 'paris').password()).rejects.toThrow(
      /pools\.yaml:5: pools\.paris\.password_env: the environment variable that it names is not set/,
    );
  });

  it.each([
    ['missing', null, 'there is no such file'],
    ['empty', '\n', 'expected one line that is the password'],
    ['of two lines', 'hunter2\nhunter3\n', 'expected one line that is the password'],
  ])('in a file that is %s names that file', async (_what, text, message) => {
    const file = load(paris(...basics, 'password_file: secret'));
    if (text !== null) {
      folder.write('secret', text);
    }
    const failure = await endpoint(file, 'paris')
      .password()
      .then(String, (error: unknown) => String(error));

    expect(failure).toBe(`PoolsFileError: ${folder.path}/secret: ${message}`);
  });

  it('never stands in anything that can be printed', () => {
    const file = load(paris(...basics, 'password: hunter2'));
    const printed = [inspect(file, { depth: 9, showHidden: true }), JSON.stringify([...file.pools.values()])];

    expect(printed.join('\n')).toContain('10.0.0.1');
    expect(printed.join('\n')).not.toContain('hunter2');
  });
});

describe('files that others may access', () => {
  it.each([0o644, 0o640, 0o604, 0o620, 0o601])('are refused: mode %i', (mode) => {
    const path = folder.write('my pools.yaml', paris(...basics, 'password: x'), mode);

    expect(messageOf(folder, () => loadPoolsFile(path))).toBe(
      `my pools.yaml: it holds credentials, but group or others may access it (mode 0${mode.toString(8)}); ` +
        `run: chmod 600 'my pools.yaml'`,
    );
  });

  it('are refused as password files too, when the pools file is read', () => {
    folder.write('secret', 'hunter2', 0o644);

    expect(fault(paris(...basics, 'password_file: secret'))).toBe(
      'secret: it holds credentials, but group or others may access it (mode 0644); run: chmod 600 secret',
    );
  });

  it('are refused as password files too, when they were opened up later', async () => {
    folder.write('secret', 'hunter2');
    const one = endpoint(load(paris(...basics, 'password_file: secret')), 'paris');
    folder.write('secret', 'hunter2', 0o660);

    await expect(one.password()).rejects.toThrow(/mode 0660\); run: chmod 600 /);
  });

  it.each([0o600, 0o400])('pass otherwise: mode %i', (mode) => {
    const path = folder.write('pools.yaml', paris(...basics, 'password: x'), mode);

    expect(loadPoolsFile(path).pools.size).toBe(1);
  });
});

describe('a credential that systemd hands to its service', () => {
  const usual = process.env['CREDENTIALS_DIRECTORY'];

  beforeEach(() => {
    process.env['CREDENTIALS_DIRECTORY'] = folder.path;
  });

  afterEach(() => {
    if (usual === undefined) delete process.env['CREDENTIALS_DIRECTORY'];
    else process.env['CREDENTIALS_DIRECTORY'] = usual;
    chmodSync(folder.path, 0o700);
  });

  it.each([
    ['shows the mask of its access list as a right of the group', 0o440, 0o550],
    ['belongs to the service where there are no access lists', 0o400, 0o500],
  ])('%s', (_what, mode, folderMode) => {
    const path = folder.write('pools.yaml', paris(...basics, 'password: x'), mode);
    chmodSync(folder.path, folderMode);
    expect(loadPoolsFile(path).pools.size).toBe(1);
  });

  it.each([
    ['that may be written to', 0o640, 0o700],
    ['for all', 0o444, 0o700],
    ['in a folder that is open to all', 0o440, 0o755],
    ['in a folder that a group may write to', 0o440, 0o770],
  ])('is no such thing, and refused: one %s', (_what, mode, folderMode) => {
    const path = folder.write('pools.yaml', paris(...basics, 'password: x'), mode);
    chmodSync(folder.path, folderMode);
    expect(messageOf(folder, () => loadPoolsFile(path))).toContain('group or others may access it');
  });

  it('lies in that folder itself: what is elsewhere is judged as ever', () => {
    const path = folder.write('in/pools.yaml', paris(...basics, 'password: x'), 0o440);
    expect(messageOf(folder, () => loadPoolsFile(path))).toContain(
      'group or others may access it (mode 0440)',
    );
  });
});

describe('a file that is not there, or none', () => {
  it('is named', () => {
    expect(messageOf(folder, () => loadPoolsFile(`${folder.path}/none.yaml`))).toBe(
      'none.yaml: there is no such file',
    );
  });

  it('may be a folder', () => {
    expect(messageOf(folder, () => loadPoolsFile(folder.path))).toContain('has to be an ordinary file');
  });

  it('is not read without bound', () => {
    expect(fault('#'.repeat(2 ** 20 + 1))).toContain('more than the 1048576 that are read');
  });
});

describe('what is wrong is said with its line', () => {
  const rows: [string, string[], string][] = [
    [
      'an unknown key',
      ['password: x', 'fingerprint: y'],
      'pools.yaml:6: pools.paris.fingerprint: is not known here; known: url, username, password, password_file, password_env, fingerprints, ca_file, insecure, legacy_tls',
    ],
    [
      'no password',
      [],
      'pools.yaml:2: pools.paris: has no password: write exactly one of password, password_file, password_env',
    ],
    [
      'two passwords',
      ['password: x', 'password_env: Y'],
      'pools.yaml:6: pools.paris.password_env: has password and password_env: write exactly one of password, password_file, password_env',
    ],
    ['an empty password', ['password:'], 'pools.yaml:5: pools.paris.password: is empty: expected a password'],
    [
      'a password that is a list',
      ['password: [x]'],
      'pools.yaml:5: pools.paris.password: expected a password',
    ],
    [
      'a variable of no name',
      ['password_env: a-b'],
      'pools.yaml:5: pools.paris.password_env: is not the name of an environment variable',
    ],
    [
      'legacy_tls without a pin',
      ['password: x', 'legacy_tls: true'],
      'pools.yaml:6: pools.paris.legacy_tls: TLS 1.0 is only accepted from a host whose certificate is pinned: add its SHA-256 to fingerprints',
    ],
    [
      'two ways to trust',
      ['password: x', `fingerprints: [${digest}]`, 'insecure: true'],
      'pools.yaml:7: pools.paris.insecure: contradicts fingerprints: write at most one of fingerprints, ca_file, insecure',
    ],
    [
      'no list of fingerprints',
      ['password: x', `fingerprints: ${digest}`],
      'pools.yaml:6: pools.paris.fingerprints: expected a list of SHA-256 fingerprints, one per host',
    ],
    [
      'an empty list of fingerprints',
      ['password: x', 'fingerprints: []'],
      'pools.yaml:6: pools.paris.fingerprints: is an empty list: give one SHA-256 fingerprint per host, or leave it out',
    ],
    [
      'a word that is neither true nor false',
      ['password: x', 'insecure: maybe'],
      'pools.yaml:6: pools.paris.insecure: expected true or false',
    ],
    [
      'an authority that is not there',
      ['password: x', 'ca_file: none.pem'],
      'pools.yaml:6: pools.paris.ca_file: none.pem cannot be read (ENOENT)',
    ],
  ];

  it.each(rows)('%s', (_what, lines, message) => {
    expect(fault(paris(...basics, ...lines))).toContain(message);
  });

  it.each([
    ['a SHA-1', 'ab'.repeat(20), 'is a SHA-1 fingerprint: expected 64 hex digits of SHA-256'],
    ['one digit less', digest.slice(1), 'is not a fingerprint: expected 64 hex digits of SHA-256'],
    ['something else', '"SHA256:abc"', 'is not a fingerprint'],
    ['colons anywhere', `"${digest.slice(0, 3)}:${digest.slice(3)}"`, 'is not a fingerprint'],
  ])('a fingerprint that is %s, among the others', (_what, text, message) => {
    const lines = ['fingerprints:', `  - ${digest}`, `  - ${text}`];

    expect(fault(paris(...basics, 'password: x', ...lines))).toContain(
      `pools.yaml:8: pools.paris.fingerprints.1: ${message}`,
    );
  });

  it.each([
    ['missing', '# none', 'pools.yaml:2: pools.paris.url: is missing'],
    [
      'no URL',
      'url: 10.0.0.1',
      'pools.yaml:3: pools.paris.url: is not a URL of a pool: expected https://host or https://host:port',
    ],
    ['of another scheme', 'url: ssh://h', 'pools.yaml:3: pools.paris.url: is not a URL of a pool'],
    ['with a path', 'url: https://h/jsonrpc', 'pools.yaml:3: pools.paris.url: goes on after the host'],
    ['with a query', 'url: https://h?x', 'pools.yaml:3: pools.paris.url: goes on after the host'],
    [
      'plain',
      'url: http://h',
      'pools.yaml:3: pools.paris.url: plain http sends the password in the clear: write https://, or add insecure: true',
    ],
    [
      'with a password',
      'url: https://root:hunter2@h',
      'pools.yaml:3: pools.paris.url: contains credentials, and addresses are logged: write username and password_file instead',
    ],
  ])('an address that is %s', (_what, line, message) => {
    expect(fault(paris(line, 'username: root', 'password: hunter2'))).toContain(message);
  });

  it('an authority file that holds none', () => {
    folder.write('ca.pem', 'hello');

    expect(fault(paris(...basics, 'password: x', 'ca_file: ca.pem'))).toBe(
      'pools.yaml:6: pools.paris.ca_file: ca.pem holds no certificate in PEM form',
    );
  });

  it('everything at once, one line each', () => {
    expect(fault(paris('url: ftp://h', 'password: x', 'insecure: 1')).split('\n')).toEqual([
      'pools.yaml:3: pools.paris.url: is not a URL of a pool: expected https://host or https://host:port',
      'pools.yaml:2: pools.paris.username: is missing',
      'pools.yaml:5: pools.paris.insecure: expected true or false',
    ]);
  });

  it.each([
    [
      'an empty file',
      '',
      'pools.yaml:1: the file is empty: expected "pools:" and under it the pools by name',
    ],
    ['no pools', 'pools:', 'pools.yaml:1: pools: expected a map of pools by name'],
    ['pools without any', 'pools: {}', 'pools.yaml:1: pools: names no pool'],
    ['a key beside pools', 'pools: {}\njobs: {}', 'pools.yaml:2: jobs: is not known here; known: pools'],
    [
      'a pool without settings',
      'pools:\n  paris:\n',
      'pools.yaml:2: pools.paris: expected the settings of a pool (url, username, …)',
    ],
    ['a pool of a strange name', 'pools:\n  "a b": {}\n', 'pools.yaml:2: pools.(key with other characters'],
  ])('%s', (_what, text, message) => {
    expect(fault(text)).toContain(message);
  });

  it('a pool that the file does not name: it lists those that it does', () => {
    const file = load(
      'pools: {oslo: {url: "https://a", username: u, password: p}, bern: {url: "https://b", username: u, password: p}}',
    );

    expect(messageOf(folder, () => endpoint(file, 'paris'))).toBe(
      'pools.yaml: there is no pool "paris" in this file; it names: bern, oslo',
    );
  });
});

describe('a password that YAML takes for something else', () => {
  it.each([
    ['password: *hunter2', 5, 'which YAML reserves: put the value in quotes'],
    ['password: &hunter2', 5, 'which YAML reserves: put the value in quotes'],
    ['password: !hunter2 x', 5, 'which YAML reserves: put the value in quotes'],
    ['password: @hunter2', 5, 'put the value in quotes'],
    ['password: %hunter2', 5, 'put the value in quotes'],
    ['password: hunter2: x', 5, 'put the value in quotes'],
    ['password: "hunter2', 6, 'is not closed'],
    ['{password:hunter2}', 5, ''],
    ['password:hunter2', 5, ''],
    ['password: x\n    password: hunter2', 6, 'this key stands here twice'],
    ['\tpassword: hunter2', 5, ''],
    ['password: [hunter2', 6, ''],
    ['hunter2', 5, ''],
  ])('%j is refused with its line, and never repeated', (line, lineNumber, message) => {
    const text = fault(paris(...basics, line));

    expect(text).toMatch(new RegExp(`^pools\\.yaml:${lineNumber}: `));
    expect(text).toContain(message);
    expect(text).not.toContain('hunter2');
  });

  it('is not repeated either where a flow map makes a key of it', () => {
    const text = fault('pools: {paris: {url: "https://a", username: u, password:hunter2}}');

    expect(text).toContain('is not known here');
    expect(text).not.toContain('hunter2');
  });
});
