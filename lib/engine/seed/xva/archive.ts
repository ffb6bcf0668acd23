/**
 * A VM as XenServer exports it (XVA): a tar of `ova.xml` and, disk after disk, chunks of 1 MiB named by their number,
 * each followed by its sum. Chunks of zeros are left out. Read from a stream, holding one chunk.
 */
import type { Extent } from '../../data/extent';
import { seedFileError } from '../errors';
import { ByteReader } from './bytes';
import { parseOva } from './ova';
import type { ArchivedDisk, Ova } from './ova';
import { loadSums } from './sums';
import type { SumKind, Sums } from './sums';
import { TarReader } from './tar';
import type { TarMember } from './tar';
import { unpacked } from './unpack';

const ovaBytesMax = 64 * 1024 * 1024;
const chunkBytesMax = 16 * 1024 * 1024;
const sumBytesMax = 128;

export interface DiskInArchive {
  readonly disk: ArchivedDisk;
  /** To be read to the end before the next disk is asked for. Sums are checked on the way. */
  readonly extents: AsyncIterable<Extent>;
}

interface Chunk {
  readonly member: TarMember;
  readonly ref: string;
  readonly number: number;
  readonly sum: SumKind | null;
}

export class XvaArchive {
  readonly ova: Ova;
  readonly #bytes: ByteReader;
  readonly #tar: TarReader;
  readonly #sums: Sums;
  #next: Chunk | null = null;

  private constructor(ova: Ova, bytes: ByteReader, tar: TarReader, sums: Sums) {
    this.ova = ova;
    this.#bytes = bytes;
    this.#tar = tar;
    this.#sums = sums;
  }

  /**
   * Reads the description; compression is found out.
   * @throws ReplicationError `seed-file` where this is no archive
   */
  static async open(source: AsyncIterable<Uint8Array>): Promise<XvaArchive> {
    const bytes = new ByteReader(unpacked(source));
    const tar = new TarReader(bytes);
    const first = await tar.next();
    if (first?.name !== 'ova.xml') {
      throw seedFileError(
        `The archive begins with ${first === null ? 'nothing' : `"${first.name}"`}, expected "ova.xml"`,
        'only archives (XVA) of XenServer 6.5 or later, or of XCP-ng, are understood',
      );
    }
    const ova = parseOva((await tar.data(first, ovaBytesMax)).toString('utf8'));
    return new XvaArchive(ova, bytes, tar, await loadSums());
  }

  /** The VM's disks in the order of the archive; reads to the end of the stream after the last. */
  async *disks(): AsyncGenerator<DiskInArchive> {
    this.#next = await this.#member();
    const seen = new Set<string>();
    while (this.#next !== null) {
      const { ref } = this.#next;
      // A disk is one stretch of the archive: a second one would be taken for the whole disk.
      if (seen.has(ref)) throw misplaced(this.#next);
      seen.add(ref);
      const disk = this.ova.disks.find((known) => known.ref === ref);
      if (disk === undefined && !this.ova.otherDisks.includes(ref)) {
        throw seedFileError(
          `The archive holds "${this.#next.member.name}", which its ova.xml does not name`,
          'it is damaged: export or copy it again',
        );
      }
      const extents = this.#extents(ref, disk?.sizeBytes ?? Infinity);
      if (disk !== undefined) yield { disk, extents };
      while ((await extents.next()).done !== true);
    }
    await this.#bytes.drain();
  }

  async *#extents(ref: string, sizeBytes: number): AsyncGenerator<Extent> {
    let chunkBytes = 0;
    let before = -1;
    let endBytes = 0;
    for (let chunk = this.#next; chunk?.ref === ref; chunk = this.#next) {
      const beginning = before === -1 && chunk.number > 0;
      if (chunk.sum !== null || chunk.number <= before || beginning) throw misplaced(chunk);
      before = chunk.number;
      const data = await this.#tar.data(chunk.member, chunkBytesMax);
      await this.#checkSum(chunk, data);
      // The first chunk says how long all are; only the last of a disk may be shorter.
      chunkBytes ||= data.length;
      const offsetBytes = chunk.number * chunkBytes;
      if (data.length % 512 !== 0 || offsetBytes + data.length > sizeBytes) throw misplaced(chunk);
      endBytes = offsetBytes + data.length;
      if (data.length > 0) yield { offsetBytes, data };
    }
    // First and last chunk are always there, whatever they hold.
    if (endBytes < sizeBytes && sizeBytes !== Infinity) {
      throw seedFileError(
        `The archive's disk "${ref}" ends at byte ${String(endBytes)} of ${String(sizeBytes)}`,
        'chunks are missing: export or copy it again',
      );
    }
  }

  /** The sum follows its chunk; afterwards the next member is at hand. */
  async #checkSum(chunk: Chunk, data: Buffer): Promise<void> {
    const follows = await this.#member();
    if (follows?.sum == null) {
      throw seedFileError(
        `The archive has no sum for "${chunk.member.name}"`,
        'only archives with sums are taken, which XenServer 6.5 and later write',
      );
    }
    const told = (await this.#tar.data(follows.member, sumBytesMax)).toString('latin1').trim().toLowerCase();
    const found = this.#sums.of(follows.sum, data);
    if (follows.ref !== chunk.ref || follows.number !== chunk.number || told !== found) {
      throw seedFileError(
        `The sum of "${chunk.member.name}" is ${found}, the archive says ${told}`,
        'the file was damaged on its way: copy it again',
      );
    }
    this.#next = await this.#member();
  }

  async #member(): Promise<Chunk | null> {
    const member = await this.#tar.next();
    if (member === null) return null;
    const [, ref, number, sum] = /^(.+)\/(\d{8,})(?:\.(checksum|xxhash))?$/.exec(member.name) ?? [];
    if (ref === undefined || number === undefined) {
      throw seedFileError(
        `The archive holds "${member.name}", which is no part of a disk`,
        'it is damaged, or of a release that is not known: export it again',
      );
    }
    return { member, ref, number: Number(number), sum: sum === undefined ? null : (sum as SumKind) };
  }
}

function misplaced({ member }: Chunk): Error {
  return seedFileError(
    `The archive's "${member.name}" is not where or what it should be`,
    'it is damaged: export or copy it again',
  );
}
