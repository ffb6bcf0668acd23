import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deliver, fullAddress } from '../../constructs/stack-delivery';
import type { StackDelivery } from '../../constructs/stack-delivery';
import { LockFile } from '../../lib/delivery';

const ours = 'terraform.local/xenrepl/xenrepl';
const nullAddress = 'registry.terraform.io/hashicorp/null';
const required = [
  { source: ours, version: '0.1.0' },
  { source: 'null', version: '3.2.4' },
];
let folder: string;
let stackFolder: string;
let bundleFolder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stack-delivery-'));
  stackFolder = join(folder, 'stack');
  bundleFolder = join(folder, 'bundle');
  mkdirSync(stackFolder);
  mkdirSync(bundleFolder);
  bundle('provider, first build');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function bundle(provider: string): void {
  writeFileSync(join(bundleFolder, 'provider.cjs'), provider);
  writeFileSync(join(bundleFolder, 'xenrepl.cjs'), 'cli');
}

function delivered(change: Partial<StackDelivery> = {}): string[] {
  return deliver({
    stackFolder,
    bundleFolder,
    version: '0.1.0',
    system: 'linux',
    architecture: 'x64',
    airGapped: false,
    requiredProviders: required,
    ...change,
  });
}

function lock(): LockFile {
  return new LockFile(readFileSync(join(stackFolder, '.terraform.lock.hcl'), 'utf8'));
}

function files(): string[] {
  return readdirSync(stackFolder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(stackFolder.length + 1))
    .sort();
}

describe('what is written', () => {
  test('provider, CLI and lock file, and nothing else', () => {
    expect(delivered()).toEqual([]);
    expect(files()).toEqual([
      '.terraform.lock.hcl',
      `terraform.d/plugins/${ours}/0.1.0/linux_amd64/node-version.cjs`,
      `terraform.d/plugins/${ours}/0.1.0/linux_amd64/provider.cjs`,
      `terraform.d/plugins/${ours}/0.1.0/linux_amd64/terraform-provider-xenrepl_v0.1.0`,
      'xenrepl/xenrepl.cjs',
    ]);
  });

  test('for the platform Terraform runs on', () => {
    delivered({ system: 'darwin', architecture: 'arm64' });
    expect(files()).toContain(`terraform.d/plugins/${ours}/0.1.0/darwin_arm64/provider.cjs`);
  });

  test('nothing where it could not run', () => {
    expect(() => delivered({ system: 'win32' })).toThrow('cannot be delivered on win32/x64');
    expect(files()).toEqual([]);
  });

  test('nothing a second time', () => {
    delivered();
    const before = files().map((name) => statSync(join(stackFolder, name), { bigint: true }).mtimeNs);
    delivered();
    expect(files().map((name) => statSync(join(stackFolder, name), { bigint: true }).mtimeNs)).toEqual(
      before,
    );
  });

  test('the same bytes in another folder of another machine', () => {
    delivered();
    const first = files().map((name) => readFileSync(join(stackFolder, name), 'utf8'));
    rmSync(stackFolder, { recursive: true });
    stackFolder = join(folder, 'elsewhere', 'stack');
    mkdirSync(stackFolder, { recursive: true });
    delivered();
    expect(files().map((name) => readFileSync(join(stackFolder, name), 'utf8'))).toEqual(first);
    expect(first.join('\n')).not.toContain(folder);
  });
});

describe('lock entry of our own provider', () => {
  test('carries version, constraint and hash', () => {
    delivered();
    expect(lock().get(ours)).toEqual({
      version: '0.1.0',
      constraints: '0.1.0',
      hashes: [expect.stringMatching(/^h1:[\w+/]{43}=$/)],
    });
  });

  test('is replaced when the provider is another, and the entries of others stay', () => {
    delivered();
    const withHash = lock().with(nullAddress, {
      version: '3.2.4',
      constraints: '3.2.4',
      hashes: ['h1:official='],
    });
    writeFileSync(join(stackFolder, '.terraform.lock.hcl'), withHash.toString());
    bundle('provider, second build');
    delivered();
    expect(lock().get(ours)?.hashes).toHaveLength(1);
    expect(lock().get(ours)?.hashes).not.toEqual(withHash.get(ours)?.hashes);
    expect(lock().get(nullAddress)?.hashes).toEqual(['h1:official=']);
  });
});

describe('lock entries of other providers', () => {
  function afterRequiring(source: string, version?: string): { warnings: string[]; address: string } {
    const other = version === undefined ? { source } : { source, version };
    return { warnings: delivered({ requiredProviders: [...required, other] }), address: fullAddress(source) };
  }

  test.each(['1.2.3', '= 1.2.3', '=1.2.3'])(
    'an exact version (%s) gets an entry for Terraform to complete',
    (version) => {
      const { warnings, address } = afterRequiring('acme/other', version);
      expect(lock().get(address)).toEqual({ version: '1.2.3', constraints: '1.2.3', hashes: [] });
      expect(warnings).toEqual([]);
    },
  );

  test('hashes that Terraform has filled in are kept', () => {
    afterRequiring('acme/other', '1.2.3');
    const filled = lock().with('registry.terraform.io/acme/other', {
      version: '1.2.3',
      constraints: '1.2.3',
      hashes: ['h1:known=', 'zh:known'],
    });
    writeFileSync(join(stackFolder, '.terraform.lock.hcl'), filled.toString());
    afterRequiring('acme/other', '1.2.3');
    expect(lock().toString()).toBe(filled.toString());
  });

  test('another version starts anew: cdktf would ask the registries as for a missing entry', () => {
    afterRequiring('acme/other', '1.2.3');
    afterRequiring('acme/other', '1.3.0');
    expect(lock().get('registry.terraform.io/acme/other')).toEqual({
      version: '1.3.0',
      constraints: '1.3.0',
      hashes: [],
    });
  });

  test.each(['~> 1.2', '>= 1.2.3', '1.2.3, != 1.2.4', undefined])(
    'a version that is not exact (%s) is warned of, with the way out',
    (version) => {
      const { warnings, address } = afterRequiring('acme/other', version);
      expect(warnings).toEqual([expect.stringContaining('Set CDKTF_SKIP_PROVIDER_LOCK=true')]);
      expect(warnings[0]).toMatch('The provider registry.terraform.io/acme/other is required');
      expect(lock().get(address)).toBeUndefined();
    },
  );

  test('no warning once Terraform has locked it', () => {
    delivered();
    const locked = lock().with('registry.terraform.io/acme/other', {
      version: '1.2.9',
      constraints: '~> 1.2',
      hashes: ['h1:known='],
    });
    writeFileSync(join(stackFolder, '.terraform.lock.hcl'), locked.toString());
    expect(afterRequiring('acme/other', '~>1.2').warnings).toEqual([]);
    expect(lock().toString()).toBe(locked.toString());
  });

  test('the provider that is built into Terraform is not locked', () => {
    const { warnings } = afterRequiring('terraform.io/builtin/terraform');
    expect(warnings).toEqual([]);
    expect(lock().addresses).toEqual([nullAddress, ours]);
  });
});

test.each([
  ['null', nullAddress],
  ['acme/other', 'registry.terraform.io/acme/other'],
  ['Example.com/Acme/Other', 'example.com/acme/other'],
])('the source "%s" means %s', (source, address) => {
  expect(fullAddress(source)).toBe(address);
});

describe('air-gapped', () => {
  const standIn = `terraform.d/plugins/${nullAddress}/3.2.4/linux_amd64/terraform-provider-null_v3.2.4_x5`;

  test('a stand-in for hashicorp/null is delivered and locked by its hash', () => {
    delivered({ airGapped: true });
    expect(files()).toContain(standIn);
    expect(lock().get(nullAddress)?.hashes).toEqual([expect.stringMatching(/^h1:/)]);
  });

  test('never by default', () => {
    delivered();
    expect(files().join()).not.toContain('hashicorp');
    expect(lock().get(nullAddress)).toEqual({ version: '3.2.4', constraints: '3.2.4', hashes: [] });
  });

  test('switched off, it is gone, and the official provider may be locked', () => {
    delivered({ airGapped: true });
    delivered({ airGapped: false });
    expect(files().join()).not.toContain('hashicorp');
    expect(lock().get(nullAddress)?.hashes).toEqual([]);
  });

  test('switched off in a stack that no longer needs null resources, its entry is gone as well', () => {
    delivered({ airGapped: true });
    delivered({ airGapped: false, requiredProviders: required.slice(0, 1) });
    expect(lock().addresses).toEqual([ours]);
  });

  test('never switched on, the hashes of the official provider are not touched', () => {
    delivered();
    const official = lock().with(nullAddress, {
      version: '3.2.4',
      constraints: '3.2.4',
      hashes: ['h1:official='],
    });
    writeFileSync(join(stackFolder, '.terraform.lock.hcl'), official.toString());
    delivered();
    expect(lock().toString()).toBe(official.toString());
  });

  test('switched on where the official provider was locked, the stand-in takes the entry', () => {
    delivered();
    const official = lock().with(nullAddress, {
      version: '3.2.4',
      constraints: '3.2.4',
      hashes: ['h1:official='],
    });
    writeFileSync(join(stackFolder, '.terraform.lock.hcl'), official.toString());
    delivered({ airGapped: true });
    expect(lock().get(nullAddress)?.hashes).not.toContain('h1:official=');
  });

  test('the version is the one the stack requires, and one only', () => {
    delivered({ airGapped: true });
    delivered({ airGapped: true, requiredProviders: [{ source: 'hashicorp/null', version: '3.3.0' }] });
    const folders = readdirSync(join(stackFolder, 'terraform.d/plugins', nullAddress));
    expect(folders).toEqual(['3.3.0']);
    expect(lock().get(nullAddress)?.version).toBe('3.3.0');
  });

  test('a version that is not exact cannot be stood in for', () => {
    const requiredProviders = [{ source: 'null', version: '~> 3.0' }];
    expect(() => delivered({ airGapped: true, requiredProviders })).toThrow(
      'exact version of hashicorp/null',
    );
  });
});
