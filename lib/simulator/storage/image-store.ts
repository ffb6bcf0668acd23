export interface ImageStoreOptions {
  readonly capacityBytes: number;
  readonly allocation: 'thin' | 'thick';
  /** 16 bytes for each new VHD footer; injected so that a run can be repeated. */
  readonly newId: () => Buffer;
  readonly now: () => number;
}

export interface DiskImage {
  readonly id: string;
  readonly sizeBytes: number;
  readonly parent: DiskImage | null;
  /** A base copy: no disk of its own, only a parent of others. */
  readonly hidden: boolean;
}

/** All images of one SR. The methods' bodies follow; these signatures are what the control plane codes against. */
export interface ImageStoreContract {
  create(id: string, sizeBytes: number): Promise<void>;
  snapshot(id: string, snapshotId: string, baseCopyId: string): Promise<{ baseCopy: string | null }>;
  clone(id: string, cloneId: string, baseCopyId: string): Promise<{ baseCopy: string | null }>;
  destroy(id: string): Promise<void>;
  coalesce(): Promise<readonly { removed: string; into: string }[]>;
  resize(id: string, sizeBytes: number): Promise<void>;
  read(id: string, offset: number, length: number): Promise<Buffer>;
  write(id: string, offset: number, data: Uint8Array): Promise<void>;
  zeroRange(id: string, offset: number, length: number): Promise<void>;
  /** Copies a raw file in; holes and zeros are not allocated. */
  fillFrom(id: string, rawFile: string): Promise<void>;
  has(id: string): boolean;
  image(id: string): DiskImage;
  images(): readonly DiskImage[];
  chain(id: string): readonly string[];
  depth(id: string): number;
  allocatedBlocks(id: string): number[];
  changedBlocks(id: string, baseId: string): number[];
  digest(id: string): Promise<{ sha256: string; sizeBytes: number }>;
  physicalBytes(id: string): number;
  /** Sum of virtual sizes of visible images. */
  virtualBytes(): number;
  usedBytes(): number;
  freeBytes(): number;
  readonly capacityBytes: number;
  cbtEnabled(id: string): boolean;
  enableCbt(id: string): Promise<void>;
  disableCbt(id: string): Promise<void>;
  /** Deletes the data, keeps size and log (type cbt_metadata). */
  dataDestroy(id: string): Promise<void>;
  /** Bitmap of 64 KiB blocks, most significant bit first. CbtError when the pair has none. */
  listChangedBlocks(fromId: string, toId: string): Promise<Buffer>;
  close(): Promise<void>;
}

export class ImageStore {
  static open(folder: string, options: ImageStoreOptions): Promise<ImageStore & ImageStoreContract> {
    void options;
    return Promise.reject(new Error(`storage in ${folder} is being written`));
  }
}
