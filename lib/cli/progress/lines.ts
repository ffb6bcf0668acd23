import type { RunEvent } from '../../engine';
import type { Output } from '../output/output';
import { printable } from '../output/text';
import { Meter } from './meter';
import type { Progress } from './progress';
import { Throttle } from './throttle';
import { progressWords, wordsFor } from './words';

const pauseMinMs = 2_000;
const pauseMaxMs = 60_000;

/**
 * Plain lines, for logs and for Terraform, which shows them as they come. A disk speaks at most every two seconds, and
 * less often the longer it takes: a transfer of ten hours must not bury everything else under twenty thousand lines.
 */
export class LineProgress implements Progress {
  readonly #out: Output;
  readonly #nowMs: () => number;
  readonly #throttle = new Throttle((ageMs) => Math.min(pauseMaxMs, Math.max(pauseMinMs, ageMs / 20)));
  readonly #meters = new Map<string, Meter>();

  constructor(out: Output, nowMs: () => number) {
    this.#out = out;
    this.#nowMs = nowMs;
  }

  readonly show = (event: RunEvent): void => {
    if (event.kind === 'disk-progress') this.#progress(event);
    for (const line of wordsFor(event)) this.#out.line(printable(line));
    if (event.kind === 'disk-copied' || event.kind === 'disk-opened') this.#forget(keyOf(event));
  };

  readonly end = (): void => undefined;

  #progress(event: Extract<RunEvent, { readonly kind: 'disk-progress' }>): void {
    const key = keyOf(event);
    const atMs = this.#nowMs();
    const meter = this.#meters.get(key) ?? new Meter();
    this.#meters.set(key, meter);
    const reading = meter.read(atMs, event.bytesRead, event.bytesExpected);
    if (this.#throttle.isDue(key, atMs)) this.#out.lineIfReady(printable(progressWords(event, reading)));
  }

  /** Opened again after a failed attempt, a disk starts from nothing. */
  #forget(key: string): void {
    this.#meters.delete(key);
    this.#throttle.forget(key);
  }
}

function keyOf({ vm, device }: { readonly vm: { readonly uuid: string }; readonly device: string }): string {
  return `${vm.uuid} ${device}`;
}
