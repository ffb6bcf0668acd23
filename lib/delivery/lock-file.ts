/** What Terraform remembers of one provider. Without hashes it fills them in at the next `terraform init`. */
export interface LockEntry {
  readonly version: string;
  readonly constraints: string;
  readonly hashes: readonly string[];
}

const header = `# This file is maintained automatically by "terraform init".
# Manual edits may be lost in future updates.
`;

const block = /^provider "([^"\n]+)" \{\n[\s\S]*?^\}\n?/gm;

/**
 * `.terraform.lock.hcl` as text: entries are added, replaced and removed; everything else stays byte for byte, because
 * the other entries hold the hashes that protect the user's other providers.
 *
 * Only the layout that Terraform itself writes is understood (it rewrites the file in that layout on every `init`).
 */
export class LockFile {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** Addresses of the locked providers, e.g. `registry.terraform.io/hashicorp/null`, in the order of the file. */
  get addresses(): readonly string[] {
    return [...this.#text.matchAll(block)].map((found) => found[1] ?? '');
  }

  /** The entry of one provider, or undefined. */
  get(address: string): LockEntry | undefined {
    const text = this.#blockOf(address);
    if (text === undefined) return undefined;
    return {
      version: quotedAfter(text, 'version'),
      constraints: quotedAfter(text, 'constraints'),
      hashes: [...text.matchAll(/"((?:h1|zh):[^"\n]+)"/g)].map((found) => found[1] ?? ''),
    };
  }

  /** The file with this entry in place of the one there was, or in its place by name. */
  with(address: string, entry: LockEntry): LockFile {
    const text = printed(address, entry);
    const old = this.#blockOf(address);
    if (old !== undefined) return new LockFile(this.#text.replace(old, () => text));
    const start = this.#text === '' ? header : this.#text;
    const next = this.addresses.find((other) => other > address);
    const following = next === undefined ? undefined : this.#blockOf(next);
    if (following === undefined) return new LockFile(`${start.trimEnd()}\n\n${text}`);
    return new LockFile(start.replace(following, () => `${text}\n${following}`));
  }

  /** The file without any entry of this provider. */
  without(address: string): LockFile {
    const old = this.#blockOf(address);
    if (old === undefined) return this;
    return new LockFile(
      this.#text
        .replace(old, '')
        .replace(/\n{3,}/g, '\n\n')
        .trimEnd() + '\n',
    );
  }

  toString(): string {
    return this.#text;
  }

  #blockOf(address: string): string | undefined {
    return [...this.#text.matchAll(block)].find((found) => found[1] === address)?.[0];
  }
}

function quotedAfter(text: string, name: string): string {
  return new RegExp(`^\\s*${name}\\s*=\\s*"([^"\\n]*)"`, 'm').exec(text)?.[1] ?? '';
}

function printed(address: string, { version, constraints, hashes }: LockEntry): string {
  const listed =
    hashes.length === 0 ? '' : `  hashes = [\n${hashes.map((hash) => `    "${hash}",\n`).join('')}  ]\n`;
  return `provider "${address}" {\n  version     = "${version}"\n  constraints = "${constraints}"\n${listed}}\n`;
}
