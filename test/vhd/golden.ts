import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/**
 * The samples of test/vectors/vhd, made by XAPI's own programs. What each holds stands in the README beside them;
 * it is read from there, so that the table of the samples and the tests cannot drift apart.
 */
const folder = join(__dirname, '..', 'vectors', 'vhd');

export interface GoldenFile {
  readonly name: string;
  readonly lengthBytes: number;
  readonly sha256: string;
  /** sha256 of the disk after the file was applied; null for negative samples. */
  readonly contentSha256: string | null;
  /** Name of the content it applies on; null: an empty disk. */
  readonly appliedOn: string | null;
  readonly sizeBytes: number;
}

export const diskBytes = 16 * 2 ** 20;

/** The uncompressed bytes of a sample. */
export function golden(name: string): Uint8Array {
  return gunzipSync(readFileSync(join(folder, `${name}.gz`)));
}

const readme = readFileSync(join(folder, 'README.md'), 'utf8');

/** Rows of the first table: name of a content → sha256. */
export const contentDigests: ReadonlyMap<string, string> = new Map(
  rows(/^\| (base|child|grand) \|/).map((cells) => [cells[0] ?? '', cells[2] ?? '']),
);

/** Rows of the second table. */
export const goldenFiles: readonly GoldenFile[] = rows(/^\| \S+\.(vhd|bin) \|/).map(
  ([name = '', length, sha, content = '–', on = '–', size]) => ({
    name,
    lengthBytes: Number(length),
    sha256: sha ?? '',
    contentSha256: content === '–' ? null : (contentDigests.get(content) ?? content),
    appliedOn: on === '–' ? null : on,
    sizeBytes: Number.parseInt(size ?? '', 10),
  }),
);

function rows(pattern: RegExp): string[][] {
  return readme
    .split('\n')
    .filter((line) => pattern.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** The three contents, written by the programs of the README. */
export function content(name: string): Uint8Array {
  const disk = new Uint8Array(diskBytes);
  for (const [first, count, tag] of programs.slice(0, programCounts.get(name)).flat()) {
    for (let sector = first; sector < first + count; sector += 1) {
      disk.set(sectorText(tag, sector), sector * 512);
    }
  }
  return disk;
}

type Write = readonly [firstSector: number, count: number, tag: string];

const programs: readonly (readonly Write[])[] = [
  [
    [0, 4096, 'base0'],
    [8192, 100, 'base2'],
    [8500, 7, 'base2b'],
    [20483, 1, 'base5'],
    [28672, 4096, 'base7'],
  ],
  [
    [3, 5, 'child0'],
    [8200, 1, 'zero'],
    [12288, 64, 'child3'],
    [20483, 3, 'child5'],
  ],
  [
    [4, 1, 'grand0'],
    [24576, 2, 'grand6'],
    [28672, 4096, 'zero'],
  ],
];

const programCounts: ReadonlyMap<string, number> = new Map([
  ['base', 1],
  ['child', 2],
  ['grand', 3],
]);

function sectorText(tag: string, sector: number): Uint8Array {
  const text = `${tag} sector ${sector}\n`;
  return tag === 'zero' ? new Uint8Array(512) : Buffer.from(text.repeat(512).slice(0, 512), 'latin1');
}
