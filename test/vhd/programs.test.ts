import {
  blockSizeBytesDefault as blockBytes,
  encodeVhd,
  sizeBytesMax,
  type VhdBlock,
  type VhdImage,
} from '../../lib/vhd';
import { cut, decodeAll, gather, sha256 } from './restore';

/*
 * Small programs, each on disks of several sizes: writes at places where mistakes live, and snapshots between them.
 * Each snapshot and the final state are exported (the first as a full image, the others as deltas), and what is
 * restored from the exports must be the disk, sector for sector.
 */
const sizes: [string, number][] = [
  ['one sector', 512],
  ['one block', blockBytes],
  ['a block and a sector', blockBytes + 512],
  ['16 MiB', 16 * 2 ** 20],
  ['the largest possible', sizeBytesMax],
];

const programs = [
  '',
  'write first',
  'write last',
  'write first last',
  'snapshot',
  'write first; snapshot',
  'write first; snapshot; write first',
  'write first; snapshot; write last',
  'write last; snapshot; write first last',
  'write edge; snapshot; write middle; snapshot; write edge',
  'write middle; snapshot; zero middle',
  'write first; snapshot; snapshot; write last; snapshot; zero first',
];

describe.each(sizes)('a disk of %s', (_name, sizeBytes) => {
  it.each(programs)('[%s] is restored from whole blocks', async (program) => {
    const { states } = run(program, sizeBytes);

    expect(await restored(states, sizeBytes, wholeBlocks)).toEqual(states.map(digests));
  });

  it.each(programs)('[%s] is restored from written sectors alone', async (program) => {
    const { states } = run(program, sizeBytes);

    expect(await restored(states, sizeBytes, writtenSectors)).toEqual(states.map(digests));
  });
});

/** A disk: the tag of each sector that was ever written. Tag 0 is a sector of zeros. */
type State = ReadonlyMap<number, number>;
type Export = (index: number, before: State, after: State) => VhdBlock;

function run(program: string, sizeBytes: number): { states: State[] } {
  const states: State[] = [];
  const disk = new Map<number, number>();
  let tag = 0;
  for (const statement of program.split('; ')) {
    const [verb = '', ...places] = statement.split(' ');
    if (verb === 'snapshot') {
      states.push(new Map(disk));
    }
    tag += 1;
    for (const sector of places.flatMap((place) => sectorsAt(place, sizeBytes / 512))) {
      disk.set(sector, verb === 'zero' ? 0 : tag);
    }
  }
  return { states: [...states, new Map(disk)] };
}

function sectorsAt(place: string, sectorCount: number): number[] {
  const middle = Math.floor(sectorCount / 2);
  const edge = Math.min(sectorCount, Math.max(4096, Math.floor(middle / 4096) * 4096));
  const wanted: Record<string, number[]> = {
    first: [0],
    last: [sectorCount - 1],
    middle: [middle, middle + 3],
    edge: [edge - 1, edge, edge + 1],
  };
  return (wanted[place] ?? []).filter((sector) => sector < sectorCount);
}

/** Exports each state relative to the one before, applies them one after the other; the digests after each. */
async function restored(
  states: readonly State[],
  sizeBytes: number,
  exportBlock: Export,
): Promise<unknown[]> {
  const disk = new Map<number, string>();
  const seen: unknown[] = [];
  let before: State = new Map();
  for (const [nth, after] of states.entries()) {
    const bytes = await gather(encodeVhd(...imageOf(nth, before, after, sizeBytes, exportBlock)));
    for (const part of decodeAll(cut(bytes, 1_000_003))) {
      for (let at = 0; part.kind === 'data' && at < part.data.length; at += 512) {
        remember(disk, (part.offsetBytes + at) / 512, part.data.subarray(at, at + 512));
      }
    }
    seen.push(new Map([...disk].toSorted(([first], [second]) => first - second)));
    before = after;
  }
  return seen;
}

function imageOf(
  nth: number,
  before: State,
  after: State,
  sizeBytes: number,
  exportBlock: Export,
): [VhdImage, VhdBlock[]] {
  const changed = [...after.keys()].filter((sector) => after.get(sector) !== before.get(sector));
  const blocks = [...new Set(changed.map((sector) => Math.floor(sector / 4096)))].toSorted((a, b) => a - b);
  const idOf = (image: number): string => `0d15ea5e-0000-4000-8000-00000000000${image}`;
  const parent = nth === 0 ? null : { uniqueId: idOf(nth - 1) };
  return [
    { sizeBytes, parent, blocks, uniqueId: idOf(nth) },
    blocks.map((index) => exportBlock(index, before, after)),
  ];
}

function wholeBlocks(index: number, _before: State, after: State): VhdBlock {
  const data = new Uint8Array(blockBytes);
  for (const [sector, tag] of after) {
    if (Math.floor(sector / 4096) === index) {
      data.set(sectorOf(tag), (sector % 4096) * 512);
    }
  }
  return { index, data };
}

/** What was not written is filled with bytes that must not be read. */
function writtenSectors(index: number, before: State, after: State): VhdBlock {
  const data = new Uint8Array(blockBytes).fill(0xee);
  const bitmap = new Uint8Array(512);
  for (const [sector, tag] of after) {
    if (Math.floor(sector / 4096) === index && before.get(sector) !== tag) {
      const at = sector % 4096;
      data.set(sectorOf(tag), at * 512);
      bitmap[at >> 3] = (bitmap[at >> 3] ?? 0) | (0x80 >> (at & 7));
    }
  }
  return { index, data, bitmap };
}

const sectorOf = (tag: number): Uint8Array => new Uint8Array(512).fill(tag);
const digestOfZeros = sha256(sectorOf(0));

/** Sectors of zeros are left out: on a disk that was never written they are the same as none. */
function remember(disk: Map<number, string>, sector: number, data: Uint8Array): void {
  const digest = sha256(data);
  if (digest === digestOfZeros) {
    disk.delete(sector);
  } else {
    disk.set(sector, digest);
  }
}

function digests(state: State): Map<number, string> {
  const disk = new Map<number, string>();
  for (const [sector, tag] of [...state].toSorted(([first], [second]) => first - second)) {
    remember(disk, sector, sectorOf(tag));
  }
  return disk;
}
