import { Image, readThrough } from './image';
import { BLOCK_BYTES, SECTOR_BYTES, SECTORS_PER_BLOCK } from './layout';
import { runsOf } from './sector-bitmap';
import type { Space } from './space';

export interface Merge {
  readonly removed: string;
  readonly into: string;
}

/** Merges until nothing is left to merge or there is no room; children of base copies first, so that each block moves once. */
export async function coalesceAll(
  images: Map<string, Image>,
  space: Space,
  pathOf: (id: string) => string,
): Promise<Merge[]> {
  const merges: Merge[] = [];
  dropOrphans(images, merges);
  for (;;) {
    const parent = [...images.values()].find((image) => canMerge(image, space));
    const [child] = parent?.children ?? [];
    if (parent === undefined || child === undefined) return merges;
    await copyBlocks(child, parent);
    child.detach();
    images.delete(child.id);
    if (child.file.hidden) {
      merges.push({ removed: child.id, into: parent.id });
      for (const grandchild of [...child.children]) grandchild.reparent(parent);
      child.file.delete();
    } else {
      merges.push({ removed: parent.id, into: child.id });
      takePlace(images, parent, child, pathOf(child.id));
    }
  }
}

/** Base copies of which no child is left hold nothing that anybody can read. */
function dropOrphans(images: Map<string, Image>, merges: Merge[]): void {
  for (;;) {
    const orphan = [...images.values()].find((image) => image.file.hidden && image.children.size === 0);
    if (orphan === undefined) return;
    merges.push({ removed: orphan.id, into: orphan.parent?.id ?? '' });
    orphan.detach();
    orphan.file.delete();
    images.delete(orphan.id);
  }
}

function canMerge(image: Image, space: Space): boolean {
  const [child] = image.children;
  if (!image.file.hidden || image.children.size !== 1 || child === undefined) return false;
  return space.hasRoomForBlocks(child.file.blocks().filter((block) => !image.file.has(block)).length);
}

/** What the child has overwrites what the parent has. Nobody else reads the parent, so no reader can notice. */
async function copyBlocks(child: Image, parent: Image): Promise<void> {
  if (child.sizeBytes > parent.sizeBytes) await parent.file.grow(child.sizeBytes);
  const buffer = Buffer.alloc(BLOCK_BYTES);
  for (const block of child.file.blocks()) {
    const bitmap = await child.file.bitmap(block);
    for (const run of runsOf(bitmap, { first: 0, count: SECTORS_PER_BLOCK })) {
      if (!run.set) continue;
      const data = buffer.subarray(0, run.count * SECTOR_BYTES);
      await readThrough(child, block * BLOCK_BYTES + run.first * SECTOR_BYTES, data);
      await parent.file.writeSectors(block, run.first, data);
    }
  }
}

/**
 * The merged file becomes the disk under the leaf's name. It is made visible before it replaces the leaf's file: a crash in
 * between leaves one disk too many, never one too few.
 */
function takePlace(images: Map<string, Image>, parent: Image, leaf: Image, path: string): void {
  const inflated = leaf.file.inflated;
  leaf.file.release();
  parent.file.setHidden(false);
  parent.file.rename(path);
  parent.file.setInflated(inflated);
  images.delete(parent.id);
  const grandparent = parent.parent;
  parent.detach();
  images.set(leaf.id, new Image(leaf.id, parent.file, grandparent));
}
