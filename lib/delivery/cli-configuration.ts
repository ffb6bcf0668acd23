import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { isAbsolute, join, normalize, relative } from 'node:path';

/** One Terraform CLI configuration file, with the name a message may print (it holds no path of the machine). */
export interface CliConfiguration {
  readonly label: string;
  readonly text: string;
}

/** Which providers of which folder must stay reachable. */
export interface WantedMirror {
  /** Folder of the Terraform configuration; relative mirror paths are taken from here. */
  readonly workingFolder: string;
  /** The mirror folder, e.g. `<workingFolder>/terraform.d/plugins`. */
  readonly mirror: string;
  /** Full source addresses served from it. */
  readonly addresses: readonly string[];
}

/**
 * The CLI configuration files that Terraform (1.x, Unix) will read: the one of `TF_CLI_CONFIG_FILE`, or `~/.terraformrc`
 * and the `*.tfrc` files of `~/.terraform.d`. A file that is not there does not count, as for Terraform.
 */
export function readCliConfigurations(
  environment: Readonly<Record<string, string | undefined>>,
  home: string,
): CliConfiguration[] {
  for (const variable of ['TF_CLI_CONFIG_FILE', 'TERRAFORM_CONFIG']) {
    const file = environment[variable];
    if (file !== undefined && file !== '') return readable(file, `the file that ${variable} names`);
  }
  const folder = join(home, '.terraform.d');
  const others = existsSync(folder)
    ? readdirSync(folder).filter((name) => /\.tfrc(\.json)?$/.test(name))
    : [];
  return [
    ...readable(join(home, '.terraformrc'), '~/.terraformrc'),
    ...others.flatMap((name) => readable(join(folder, name), `~/.terraform.d/${name}`)),
  ];
}

/**
 * Why Terraform would not look into our mirror folder, with the lines that change that; undefined where it will.
 *
 * Any `provider_installation` block switches off the folders that Terraform searches by itself, `terraform.d/plugins`
 * beside the configuration among them, and `terraform init` would ask a host on the network that does not exist.
 */
export function shutOutAdvice(configuration: CliConfiguration, wanted: WantedMirror): string | undefined {
  const text = withoutComments(configuration.text);
  if (!/\bprovider_installation\b/.test(text)) return undefined;
  const mirrors = [...text.matchAll(/\bfilesystem_mirror\b[^{]*\{([^{}]*)\}/g)].map(
    (found) => found[1] ?? '',
  );
  const shutOut = wanted.addresses.filter(
    (address) => !mirrors.some((mirror) => serves(mirror, address, wanted)),
  );
  if (shutOut.length === 0) return undefined;
  const patterns = shutOut.map((address) => `"${address}"`).join(', ');
  return (
    `${configuration.label} has a provider_installation block without a mirror for ${shutOut.join(' and ')}: ` +
    'such a block switches off the folder terraform.d/plugins that this stack delivers its provider in, ' +
    'and terraform init will fail. Add these lines to the block:\n' +
    `  filesystem_mirror {\n    path    = "terraform.d/plugins"\n    include = [${patterns}]\n  }`
  );
}

function readable(file: string, label: string): CliConfiguration[] {
  return existsSync(file) ? [{ label, text: readFileSync(file, 'utf8') }] : [];
}

/** Text in quotes is kept: a URL holds `//`. */
function withoutComments(text: string): string {
  return text.replace(/"(?:\\.|[^"\\\n])*"|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (part) =>
    part.startsWith('"') ? part : '',
  );
}

/** Both spellings are understood: HCL (`path = "…"`) and JSON (`"path": "…"`). */
function serves(mirror: string, address: string, wanted: WantedMirror): boolean {
  const path = /\bpath"?\s*[=:]\s*"([^"\n]*)"/.exec(mirror)?.[1];
  if (path === undefined || !holds(path, address, wanted)) return false;
  const include = patterns(mirror, 'include');
  const exclude = patterns(mirror, 'exclude') ?? [];
  return (
    (include ?? ['*/*/*']).some((one) => matches(one, address)) &&
    !exclude.some((one) => matches(one, address))
  );
}

function holds(path: string, address: string, { workingFolder, mirror }: WantedMirror): boolean {
  if (!isAbsolute(path)) return normalize(path).replace(/[/\\]$/, '') === relative(workingFolder, mirror);
  return path === mirror || existsSync(join(path, ...address.split('/')));
}

function patterns(mirror: string, name: string): string[] | undefined {
  const list = new RegExp(`\\b${name}"?\\s*[=:]\\s*\\[([^\\]]*)\\]`).exec(mirror)?.[1];
  return list === undefined ? undefined : [...list.matchAll(/"([^"\n]*)"/g)].map((found) => found[1] ?? '');
}

/** A pattern without a host means the public registry, as everywhere in Terraform. */
function matches(pattern: string, address: string): boolean {
  const parts = pattern.split('/');
  const full = parts.length === 2 ? ['registry.terraform.io', ...parts] : parts;
  const wanted = address.split('/');
  return full.length === wanted.length && full.every((part, index) => part === '*' || part === wanted[index]);
}
