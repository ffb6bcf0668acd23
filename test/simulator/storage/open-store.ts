import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ImageStore, type Allocation } from '../../../lib/simulator/storage';

export const MIB = 1024 * 1024;

export interface TestStore extends AsyncDisposable {
  readonly store: ImageStore;
  readonly folder: string;
  /** Closes the store and opens the folder again, as a restart does. */
  reopen(): Promise<ImageStore>;
  /** Opens the folder while the first store never closed it: what is seen after a crash. The caller closes it. */
  openAgain(): Promise<ImageStore>;
}

export interface TestStoreOptions {
  readonly capacityBytes?: number;
  readonly allocation?: Allocation;
}

/** A store in a temporary folder, with footer ids 1, 2, 3 … and a fixed clock. */
export async function openTestStore(options: TestStoreOptions = {}): Promise<TestStore> {
  const folder = mkdtempSync(join(tmpdir(), 'simulator-store-'));
  let ids = 0;
  const open = (): Promise<ImageStore> =>
    ImageStore.open(folder, {
      capacityBytes: options.capacityBytes ?? 1024 * MIB,
      allocation: options.allocation ?? 'thin',
      newId: () => Buffer.from((++ids).toString(16).padStart(32, '0'), 'hex'),
      now: () => Date.UTC(2026, 0, 1),
    });
  let current = await open();
  return {
    get store() {
      return current;
    },
    folder,
    openAgain: open,
    async reopen() {
      await current.close();
      current = await open();
      return current;
    },
    async [Symbol.asyncDispose]() {
      await current.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Sectors filled with the line `TAG sector N`, N counted from `first`, as the recorded vectors have them. */
export function pattern(tag: string, first: number, count: number): Buffer {
  const bytes = Buffer.alloc(count * 512);
  for (let sector = 0; sector < count; sector++) {
    bytes.fill(`${tag} sector ${first + sector}\n`, sector * 512, (sector + 1) * 512);
  }
  return bytes;
}
