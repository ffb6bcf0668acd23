import { createHash } from 'node:crypto';

/** The files of a provider package: name relative to its folder, with `/`, and content. */
export type PackageFiles = ReadonlyMap<string, Uint8Array>;

/**
 * Terraform's own checksum of an unpacked provider package, as it stands in `.terraform.lock.hcl`.
 *
 * It is the "h1" directory hash of the Go module system: SHA-256, in base64, over one line per file
 * (`<sha256 in hex>  <name>\n`) sorted by name in byte order. File modes do not count.
 *
 * @throws on a name with a line break, which the format cannot carry.
 */
export function packageHash(files: PackageFiles): string {
  const names = [...files.keys()].sort(byBytes);
  const summary = createHash('sha256');
  for (const name of names) {
    if (name.includes('\n'))
      throw new Error(`Cannot hash a file whose name has a line break: ${JSON.stringify(name)}`);
    const digest = createHash('sha256')
      .update(files.get(name) ?? new Uint8Array())
      .digest('hex');
    summary.update(`${digest}  ${name}\n`);
  }
  return `h1:${summary.digest('base64')}`;
}

function byBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}
