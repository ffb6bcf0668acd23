import { VhdError } from './errors';
import { sizeBytesMax } from './geometry';
import type { VhdHeaderPart, VhdPart } from './parts';
import { refuseLength, refuseOtherSize, refuseSettings } from './refusals';
import type { Stretch } from './stretches';
import { tableEntriesMaxDefault } from './table';
import type { Walk } from './walk';

export interface VhdDecoderOptions {
  /**
   * Size of the disk that the image is for, a multiple of 512. An image of another size is refused, but for one
   * rounded up to 2 MiB, as exports of disks that are not VHDs are: of that nothing past this size is yielded.
   */
  readonly expectSizeBytes?: number;
  /** Bound of the block table, and so of memory (12 bytes an entry). Default 2^20: any disk in blocks of 2 MiB. */
  readonly maxTableEntries?: number;
  /** Length of the whole stream where it is known (a file): then there may be a gap before the last footer. */
  readonly streamLengthBytes?: number;
  /**
   * Also read fixed disks: raw data that only end with a footer. Off by default, because then anything, an error
   * page too, passes for data until its end.
   */
  readonly acceptFixed?: boolean;
}

/** What is known of the image so far, and the parts read since they were last taken. */
export class Reading {
  readonly tableEntriesMax: number;
  readonly acceptFixed: boolean;
  readonly #options: VhdDecoderOptions;
  #parts: VhdPart[] = [];
  #sizeBytes = 0;
  #limitBytes: number;
  #lengthBytes: number | null;
  #isComplete = false;

  constructor(options: VhdDecoderOptions) {
    this.#options = options;
    this.tableEntriesMax = options.maxTableEntries ?? tableEntriesMaxDefault;
    this.acceptFixed = options.acceptFixed ?? false;
    this.#lengthBytes = options.streamLengthBytes ?? null;
    this.#limitBytes = options.expectSizeBytes ?? sizeBytesMax;
    refuseSettings(options.expectSizeBytes, this.tableEntriesMax);
  }

  get lengthBytes(): number | null {
    return this.#lengthBytes;
  }

  /** The disk's size as the image has it. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  takeParts(): VhdPart[] {
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }

  /** Data past the disk's end are dropped: the last block is whole in the stream even where the disk ends within. */
  readonly emitData = (offsetBytes: number, data: Uint8Array): void => {
    const wantedBytes = Math.min(data.length, this.#limitBytes - offsetBytes);
    if (wantedBytes > 0) {
      this.#parts.push({ kind: 'data', offsetBytes, data: data.subarray(0, wantedBytes) });
    }
  };

  emitBlock(index: number): void {
    this.#parts.push({ kind: 'block', index });
  }

  emitHeader(header: Omit<VhdHeaderPart, 'kind' | 'sizeBytes'>): void {
    this.#parts.push({ kind: 'header', sizeBytes: this.#limitBytes, ...header });
  }

  /** Takes the size that a footer says, unless it is not the expected one. */
  settleSize(sizeBytes: number, offsetBytes: number): void {
    const expectSizeBytes = this.#options.expectSizeBytes ?? sizeBytes;
    refuseOtherSize(sizeBytes, expectSizeBytes, offsetBytes);
    this.#sizeBytes = sizeBytes;
    this.#limitBytes = expectSizeBytes;
  }

  /** Settles the length of the stream: what the image asks for, or what is given if that is enough. */
  settleLength(neededBytes: number): number {
    const lengthBytes = this.#options.streamLengthBytes ?? neededBytes;
    refuseLength(lengthBytes, neededBytes);
    this.#lengthBytes = lengthBytes;
    return lengthBytes;
  }

  /** After the last footer: the image is complete, and nothing may follow. */
  complete(walk: Walk): void {
    this.#isComplete = true;
    this.#parts.push({ kind: 'end' });
    const nothing: Stretch = {
      leftBytes: Number.POSITIVE_INFINITY,
      take: () => {
        throw new VhdError(
          'trailing-data',
          walk.positionBytes,
          `The VHD is complete after ${walk.positionBytes} bytes, but the stream goes on`,
        );
      },
    };
    walk.enter('end', nothing, () => undefined);
  }
}
