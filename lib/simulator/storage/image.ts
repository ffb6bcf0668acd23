import type { DiskImage } from './image-store';
import type { ImageFile, ParentFile } from './image-file';
import { BLOCK_BYTES, SECTOR_BYTES } from './layout';
import { FULL_BITMAP, runsOf, type SectorRun } from './sector-bitmap';

/** A file and its place in the tree of parents and children. */
export class Image {
  readonly children = new Set<Image>();
  #parent: Image | null;
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(
    readonly id: string,
    readonly file: ImageFile,
    parent: Image | null,
  ) {
    this.#parent = parent;
    parent?.children.add(this);
  }

  get sizeBytes(): number {
    return this.file.sizeBytes;
  }
  get parent(): Image | null {
    return this.#parent;
  }

  /** From this image up to its oldest parent. */
  chain(): Image[] {
    return this.#parent === null ? [this] : [this, ...this.#parent.chain()];
  }

  describe(): DiskImage {
    return {
      id: this.id,
      sizeBytes: this.sizeBytes,
      parent: this.#parent?.describe() ?? null,
      hidden: this.file.hidden,
    };
  }

  asParentFile(): ParentFile {
    return { name: this.file.name, uniqueId: this.file.uniqueId, modifiedMs: this.file.modifiedMs };
  }

  /** The same file under another name and hidden: what a disk's file is after a snapshot. */
  becomeBaseCopy(id: string, path: string): Image {
    this.file.rename(path);
    this.file.setHidden(true);
    this.file.setInflated(false);
    const copy = new Image(id, this.file, this.#parent);
    this.#parent?.children.delete(this);
    return copy;
  }

  /** Hangs this image, and its file's header, under another parent. */
  reparent(parent: Image | null): void {
    this.#parent?.children.delete(this);
    this.#parent = parent;
    parent?.children.add(this);
    this.file.setParent(parent?.asParentFile() ?? null);
  }

  detach(): void {
    this.#parent?.children.delete(this);
  }

  /** Two writes to one file would each allocate the same block: the second waits. */
  async oneAtATime(work: () => Promise<void>): Promise<void> {
    const mine = this.#lastWrite.then(work);
    this.#lastWrite = mine.catch(() => undefined);
    await mine;
  }
}

/** Fills `target` with the sectors at `offset`, each from the youngest file that has it, zeros where none has. */
export async function readThrough(image: Image, offset: number, target: Uint8Array): Promise<void> {
  const layers = image.chain();
  for (let done = 0; done < target.byteLength;) {
    const inBlock = (offset + done) % BLOCK_BYTES;
    const length = Math.min(BLOCK_BYTES - inBlock, target.byteLength - done);
    const block = (offset + done - inBlock) / BLOCK_BYTES;
    await readBlockPart(layers, block, inBlock / SECTOR_BYTES, target.subarray(done, done + length));
    done += length;
  }
}

async function readBlockPart(
  layers: readonly Image[],
  block: number,
  firstSector: number,
  target: Uint8Array,
): Promise<void> {
  let missing: SectorRun[] = [{ first: firstSector, count: target.byteLength / SECTOR_BYTES }];
  const place = (run: SectorRun): Uint8Array =>
    target.subarray(
      (run.first - firstSector) * SECTOR_BYTES,
      (run.first - firstSector + run.count) * SECTOR_BYTES,
    );
  for (const { file } of layers) {
    if (!file.has(block)) continue;
    const bitmap = await file.bitmap(block);
    const still: SectorRun[] = [];
    for (const run of missing.flatMap((part) => runsOf(bitmap, part))) {
      if (run.set) await file.readSectors(block, run.first, place(run));
      else still.push(run);
    }
    missing = still;
    if (bitmap === FULL_BITMAP || missing.length === 0) return;
  }
  for (const run of missing) place(run).fill(0);
}

/** Blocks present in any of the images and inside a disk of `sizeBytes`, ascending. */
export function blocksOf(images: readonly Image[], sizeBytes: number): number[] {
  const blocks = new Set<number>();
  for (const image of images) for (const block of image.file.blocks()) blocks.add(block);
  const end = sizeBytes / BLOCK_BYTES;
  return [...blocks].filter((block) => block < end).sort((a, b) => a - b);
}

/** Files count as the same when name and footer id agree, as the exporting server compares them. */
export function differingBlocks(image: Image, base: Image): number[] {
  const identity = (one: Image): string => `${one.id}/${one.file.uniqueId.toString('hex')}`;
  const mine = new Map(image.chain().map((one) => [identity(one), one]));
  const theirs = new Map(base.chain().map((one) => [identity(one), one]));
  const only = [
    ...[...mine].filter(([name]) => !theirs.has(name)),
    ...[...theirs].filter(([name]) => !mine.has(name)),
  ];
  return blocksOf(
    only.map(([, one]) => one),
    image.sizeBytes,
  );
}
