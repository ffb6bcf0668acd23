import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCliConfigurations, shutOutAdvice } from '../../lib/delivery';

const ours = 'terraform.local/xenrepl/xenrepl';
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-configuration-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function advice(text: string, addresses = [ours]): string | undefined {
  const mirror = join(folder, 'terraform.d', 'plugins');
  return shutOutAdvice({ label: '~/.terraformrc', text }, { workingFolder: folder, mirror, addresses });
}

describe('a configuration that keeps the folder reachable', () => {
  test.each([
    ['empty', ''],
    ['other settings', 'plugin_cache_dir = "/x"\ncredentials "app.terraform.io" { token = "t" }'],
    [
      'the block in a comment',
      '# provider_installation { direct {} }\n// provider_installation {}\n/* provider_installation {} */',
    ],
    [
      'our folder for everything',
      'provider_installation { filesystem_mirror { path = "terraform.d/plugins" } }',
    ],
    [
      'our folder for our host',
      'provider_installation {\n  filesystem_mirror {\n    path    = "./terraform.d/plugins/"\n    include = ["terraform.local/*/*"]\n  }\n  direct {}\n}',
    ],
    [
      'our folder, in JSON',
      '{"provider_installation": [{"filesystem_mirror": [{"path": "terraform.d/plugins", "include": ["terraform.local/*/*"]}]}]}',
    ],
  ])('%s', (_name, text) => {
    expect(advice(text)).toBeUndefined();
  });

  test('a mirror elsewhere that holds our provider', () => {
    mkdirSync(join(folder, 'mirror', ours), { recursive: true });
    expect(
      advice(`provider_installation { filesystem_mirror { path = "${folder}/mirror" } }`),
    ).toBeUndefined();
  });
});

describe('a configuration that shuts the folder out', () => {
  test.each([
    ['direct only', 'provider_installation { direct {} }'],
    ['a network mirror', 'provider_installation { network_mirror { url = "https://mirror.example/" } }'],
    [
      'another folder without our provider',
      'provider_installation { filesystem_mirror { path = "/srv/mirror" } }',
    ],
    [
      'our folder, for others',
      'provider_installation { filesystem_mirror { path = "terraform.d/plugins" include = ["hashicorp/*"] } }',
    ],
    [
      'our folder, but not for us',
      'provider_installation { filesystem_mirror { path = "terraform.d/plugins" exclude = ["terraform.local/*/*"] } }',
    ],
    ['direct only, in JSON', '{"provider_installation": [{"direct": [{}]}]}'],
  ])('%s', (_name, text) => {
    expect(advice(text)).toMatch('~/.terraformrc has a provider_installation block without a mirror');
  });

  test('is answered with the lines to add', () => {
    expect(
      advice('provider_installation { direct {} }', [ours, 'registry.terraform.io/hashicorp/null']),
    ).toMatch(
      `  filesystem_mirror {
    path    = "terraform.d/plugins"
    include = ["terraform.local/xenrepl/xenrepl", "registry.terraform.io/hashicorp/null"]
  }`,
    );
  });

  test('and those lines are the remedy', () => {
    const lines =
      /filesystem_mirror \{[\s\S]*\}/.exec(advice('provider_installation { direct {} }') ?? '')?.[0] ?? '';
    expect(advice(`provider_installation {\n${lines}\n  direct {}\n}`)).toBeUndefined();
  });
});

describe('which files Terraform reads', () => {
  test('the one of TF_CLI_CONFIG_FILE alone', () => {
    writeFileSync(join(folder, '.terraformrc'), 'home');
    writeFileSync(join(folder, 'mine.tfrc'), 'mine');
    expect(readCliConfigurations({ TF_CLI_CONFIG_FILE: join(folder, 'mine.tfrc') }, folder)).toEqual([
      { label: 'the file that TF_CLI_CONFIG_FILE names', text: 'mine' },
    ]);
  });

  test('none where TF_CLI_CONFIG_FILE names a file that is not there', () => {
    writeFileSync(join(folder, '.terraformrc'), 'home');
    expect(readCliConfigurations({ TF_CLI_CONFIG_FILE: join(folder, 'missing') }, folder)).toEqual([]);
  });

  test('~/.terraformrc and the *.tfrc files of ~/.terraform.d', () => {
    mkdirSync(join(folder, '.terraform.d'));
    writeFileSync(join(folder, '.terraformrc'), 'home');
    writeFileSync(join(folder, '.terraform.d', 'a.tfrc'), 'a');
    writeFileSync(join(folder, '.terraform.d', 'checkpoint_cache'), 'no configuration');
    expect(readCliConfigurations({}, folder)).toEqual([
      { label: '~/.terraformrc', text: 'home' },
      { label: '~/.terraform.d/a.tfrc', text: 'a' },
    ]);
  });
});
