import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LockFile, packageHash, providerAddress, xenreplPackage } from '../../../lib/delivery';
import { version } from '../../../lib/cli/version';
import { called } from '../call';

const bundle = '// the provider';

class Folder implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<Folder> {
    return new Folder(await mkdtemp(join(tmpdir(), 'xenrepl-install-')));
  }

  /** A folder in which the program lies with the provider beside it. */
  static async ofProgram(): Promise<Folder> {
    const folder = await Folder.make();
    await writeFile(join(folder.path, 'provider.cjs'), bundle);
    return folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

const requiredProviders = `terraform {
  required_providers {
    xenrepl = {
      source  = "terraform.local/xenrepl/xenrepl"
      version = "${version}"
    }
  }
}
`;

function below(folder: Folder): string {
  return join(folder.path, 'terraform.d', 'plugins', ...providerAddress.split('/'), version, 'linux_amd64');
}

const { files } = xenreplPackage(version, 'linux_amd64', Buffer.from(bundle));
const hash = packageHash(files);

test('writes the folder that terraform init searches, and prints nothing on stdout but the block', async () => {
  await using program = await Folder.ofProgram();
  await using work = await Folder.make();
  const surroundings = { cwd: work.path, home: work.path, programFolder: program.path };
  for (let round = 0; round < 2; round += 1) {
    const { code, stdout, stderr } = await called(['provider', 'install'], surroundings);
    expect([code, stdout]).toEqual([0, requiredProviders]);
    expect(stderr).toBe(`note: the provider stands in ${below(work)}; next: terraform init\n`);
    expect((await readdir(below(work))).toSorted()).toEqual([...files.keys()].toSorted());
  }
  const json = await called(['provider', 'install', work.path, '--json'], { ...surroundings, cwd: '/' });
  expect(JSON.parse(json.stdout)).toEqual({
    address: providerAddress,
    version,
    platform: 'linux_amd64',
    folder: below(work),
    hash,
  });
});

test('a lock entry of another build is brought up to date: terraform init would refuse it', async () => {
  await using program = await Folder.ofProgram();
  await using work = await Folder.make();
  const lockFile = join(work.path, '.terraform.lock.hcl');
  const other = { version: '3.2.4', constraints: '3.2.4', hashes: ['h1:other'] };
  const old = { version, constraints: version, hashes: ['h1:old'] };
  const before = new LockFile('')
    .with('registry.terraform.io/hashicorp/null', other)
    .with(providerAddress, old);
  await writeFile(lockFile, before.toString());
  const surroundings = { cwd: work.path, home: work.path, programFolder: program.path };
  const first = await called(['provider', 'install'], surroundings);
  expect(first.stderr).toContain('held the hash of another build');
  const after = new LockFile(await readFile(lockFile, 'utf8'));
  expect(after.get(providerAddress)?.hashes).toEqual([hash]);
  expect(after.get('registry.terraform.io/hashicorp/null')).toEqual(other);
  expect((await called(['provider', 'install'], surroundings)).stderr).not.toContain('another build');
});

test('a Terraform configuration that shuts the folder out is warned of, with the lines that help', async () => {
  await using program = await Folder.ofProgram();
  await using work = await Folder.make();
  await writeFile(join(work.path, '.terraformrc'), 'provider_installation {\n  direct {}\n}\n');
  const surroundings = { cwd: work.path, home: work.path, programFolder: program.path };
  const { code, stderr } = await called(['provider', 'install'], surroundings);
  expect(code).toBe(0);
  expect(stderr).toMatch(/^warning: ~\/\.terraformrc has a provider_installation block/);
  expect(stderr).toContain('\n    filesystem_mirror {\n      path    = "terraform.d/plugins"\n');
});

test('without the provider beside the program it says which program to use', async () => {
  await using work = await Folder.make();
  const { code, stderr } = await called(['provider', 'install'], { cwd: work.path, home: work.path });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error: Cannot install the provider: provider\.cjs is not beside this program/);
  expect(stderr).toMatch(/\nhint: run the xenrepl of the npm package/);
});

test('a folder that is not there, and a system the provider cannot run on, are refused', async () => {
  await using program = await Folder.ofProgram();
  const missing = await called(['provider', 'install', '/no/such/folder'], { programFolder: program.path });
  expect(missing.code).toBe(2);
  expect(missing.stderr).toMatch(/^error: Cannot install the provider into \/no\/such\/folder/);
  const windows = { programFolder: program.path, cwd: program.path, system: 'win32' };
  const { code, stderr } = await called(['provider', 'install'], windows);
  expect(code).toBe(1);
  expect(stderr).toMatch(/inside WSL 2/);
});
