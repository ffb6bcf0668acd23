import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudBackend, NamedCloudWorkspace, RemoteBackend, TerraformStack, Testing } from 'cdktf';
import { ReplicationRun, XenReplicationProvider } from '../../constructs';
import { LockFile } from '../../lib/delivery';

const nullAddress = 'registry.terraform.io/hashicorp/null';
const job = { targetPool: 'munich', jobId: 'f3f0a6a4-0d41-4c55-8e4b-1c8f0b1d6a11' };
let stack: TerraformStack;
let folder: string;
let outdirs: string[];
const savedEnvironment = { ...process.env };
const savedDirectory = process.cwd();
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'provider-test-')));
  process.chdir(folder); // the project of the user, with its cdktf.out
  stack = new TerraformStack(Testing.app({ outdir: 'cdktf.out', stackTraces: false }), 'stack');
  outdirs = [];
  process.env = { ...savedEnvironment, TF_CLI_CONFIG_FILE: join(folder, 'none') };
  delete process.env['TF_PLUGIN_CACHE_DIR'];
});
afterEach(() => {
  process.chdir(savedDirectory);
  for (const path of [folder, ...outdirs]) rmSync(path, { recursive: true, force: true });
  process.env = savedEnvironment;
});

/** Synthesizes as `cdktf synth` does; answers the folder of the stack and the warnings. */
function fullSynth(): { stackFolder: string; warnings: string[] } {
  const outdir = Testing.fullSynth(stack);
  outdirs.push(outdir);
  const manifest = JSON.parse(readFileSync(join(outdir, 'manifest.json'), 'utf8')) as {
    stacks: Record<string, { annotations: { level: string; message: string }[] }>;
  };
  const annotations = manifest.stacks['stack']?.annotations ?? [];
  return {
    stackFolder: join(outdir, 'stacks', 'stack'),
    warnings: annotations.filter(({ level }) => level === '@cdktf/warn').map(({ message }) => message),
  };
}

interface Synthesized {
  provider: { xenrepl: Record<string, unknown>[] };
}

function providerBlock(): Record<string, unknown> | undefined {
  return (JSON.parse(Testing.synth(stack, true)) as Synthesized).provider.xenrepl[0];
}

describe('what it says to Terraform', () => {
  test('nothing by default', () => {
    new XenReplicationProvider(stack, 'xenrepl');
    expect(providerBlock()).toEqual({});
  });

  test('a relative pools file starts at the directory of the app, and is told from where Terraform runs', () => {
    new XenReplicationProvider(stack, 'xenrepl', { poolsFile: 'pools.yaml', onUnreachable: 'warn' });
    expect(providerBlock()).toEqual({ pools_file: '../../../pools.yaml', on_unreachable: 'warn' });
  });

  test('an absolute path inside the project is told the same way, so that it fits every checkout', () => {
    new XenReplicationProvider(stack, 'xenrepl', { poolsFile: join(process.cwd(), 'secrets', 'pools.yaml') });
    expect(providerBlock()).toEqual({ pools_file: '../../../secrets/pools.yaml' });
  });

  test('an absolute path elsewhere is the choice of the user', () => {
    new XenReplicationProvider(stack, 'xenrepl', { poolsFile: '/etc/xenrepl/pools.yaml' });
    expect(providerBlock()).toEqual({ pools_file: '/etc/xenrepl/pools.yaml' });
  });

  test('an alias', () => {
    new XenReplicationProvider(stack, 'second', { alias: 'second' });
    expect(providerBlock()).toEqual({ alias: 'second' });
    expect(XenReplicationProvider.ofStack(stack)).toBeUndefined();
  });

  test.each([
    ['poolsFile', { poolsFile: '' }, 'poolsFile must not be empty: leave it out for the default place'],
    [
      'onUnreachable',
      { onUnreachable: 'ignore' as 'warn' },
      'onUnreachable must be "fail" or "warn", not "ignore": a plan either stops at a silent pool or goes on',
    ],
  ])('nothing of a wrong %s', (_name, props, message) => {
    expect(() => new XenReplicationProvider(stack, 'xenrepl', props)).toThrow(message);
  });
});

describe('what it delivers at synth', () => {
  test('provider, CLI and lock entries for everything the stack requires', () => {
    new XenReplicationProvider(stack, 'xenrepl');
    new ReplicationRun(stack, 'first-run', { job });
    const { stackFolder, warnings } = fullSynth();
    const lock = new LockFile(readFileSync(join(stackFolder, '.terraform.lock.hcl'), 'utf8'));
    expect(lock.addresses).toEqual([nullAddress, 'terraform.local/xenrepl/xenrepl']);
    expect(existsSync(join(stackFolder, 'xenrepl', 'xenrepl.cjs'))).toBe(true);
    expect(readdirSync(join(stackFolder, 'terraform.d/plugins'))).toEqual(['terraform.local']);
    expect(warnings).toEqual([]);
  });

  test('nothing that names this machine or a secret: configuration, lock file and launcher', () => {
    new XenReplicationProvider(stack, 'xenrepl', { airGapped: true, poolsFile: 'pools.yaml' });
    new ReplicationRun(stack, 'first-run', { job });
    const { stackFolder } = fullSynth();
    const written = readdirSync(stackFolder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.cjs'))
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
    expect(written.length).toBeGreaterThanOrEqual(4);
    for (const path of [process.cwd(), stackFolder, process.execPath, tmpdir()]) {
      expect(written.filter((text) => text.includes(path))).toEqual([]);
    }
  });

  test('the stand-in for hashicorp/null where any provider of the stack is air-gapped, once', () => {
    new XenReplicationProvider(stack, 'xenrepl');
    new XenReplicationProvider(stack, 'second', { alias: 'second', airGapped: true });
    const { stackFolder } = fullSynth();
    expect(readdirSync(join(stackFolder, 'terraform.d/plugins')).sort()).toEqual([
      'registry.terraform.io',
      'terraform.local',
    ]);
  });
});

describe('what it warns of', () => {
  test('a CLI configuration that shuts the delivered folder out, with the lines that open it', () => {
    process.env['TF_CLI_CONFIG_FILE'] = join(folder, 'cli.tfrc');
    writeFileSync(join(folder, 'cli.tfrc'), 'provider_installation {\n  direct {}\n}\n');
    new XenReplicationProvider(stack, 'xenrepl');
    expect(fullSynth().warnings).toEqual([
      expect.stringContaining('include = ["terraform.local/xenrepl/xenrepl"]'),
    ]);
  });

  test('a provider that cdktf would want to lock, in a version that cannot be known here', () => {
    new XenReplicationProvider(stack, 'xenrepl');
    stack.addOverride('terraform.required_providers.random', {
      source: 'hashicorp/random',
      version: '~> 3.0',
    });
    expect(fullSynth().warnings).toEqual([expect.stringContaining('CDKTF_SKIP_PROVIDER_LOCK=true')]);
  });

  test('a plugin cache that would hand the stand-in to other projects', () => {
    process.env['TF_PLUGIN_CACHE_DIR'] = join(folder, 'cache');
    new XenReplicationProvider(stack, 'xenrepl', { airGapped: true });
    expect(fullSynth().warnings).toEqual([expect.stringContaining('CDKTF_DISABLE_PLUGIN_CACHE_ENV=true')]);
  });

  test('not of a plugin cache otherwise', () => {
    process.env['TF_PLUGIN_CACHE_DIR'] = join(folder, 'cache');
    new XenReplicationProvider(stack, 'xenrepl');
    expect(fullSynth().warnings).toEqual([]);
  });

  test('the cloud backend, which may run where there is no node', () => {
    new XenReplicationProvider(stack, 'xenrepl');
    new CloudBackend(stack, { organization: 'acme', workspaces: new NamedCloudWorkspace('dr') });
    expect(fullSynth().warnings).toEqual([
      expect.stringMatching(/"cloud" backend .* execution mode .* "local"/),
    ]);
  });

  test('the remote backend likewise', () => {
    new XenReplicationProvider(stack, 'xenrepl');
    new RemoteBackend(stack, { organization: 'acme', workspaces: { name: 'dr' } });
    expect(fullSynth().warnings).toEqual([expect.stringMatching(/"remote" backend/)]);
  });
});

test('synth is refused on Windows', () => {
  const original = process.platform;
  Object.defineProperty(process, 'platform', { value: 'win32' });
  try {
    new XenReplicationProvider(stack, 'xenrepl');
    expect(() => Testing.synth(stack, true)).toThrow(/cannot be delivered on win32.*WSL 2/);
  } finally {
    Object.defineProperty(process, 'platform', { value: original });
  }
});
