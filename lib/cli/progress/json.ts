import type { RunEvent } from '../../engine';
import type { Output } from '../output/output';
import type { Progress } from './progress';
import { Throttle } from './throttle';

/** At most four times a second per disk: a program that draws needs no more, a log has enough with it. */
const progressEveryMs = 250;

/** One event per line, with the time it was seen; nothing is left out but the progress between two instants. */
export class JsonProgress implements Progress {
  readonly #out: Output;
  readonly #nowMs: () => number;
  readonly #throttle = new Throttle(() => progressEveryMs);

  constructor(out: Output, nowMs: () => number) {
    this.#out = out;
    this.#nowMs = nowMs;
  }

  readonly show = (event: RunEvent): void => {
    const atMs = Math.round(this.#nowMs());
    const text = (): string => JSON.stringify({ ...event, atMs });
    const often = event.kind === 'disk-progress' || event.kind === 'disk-verifying';
    if (!often) this.#out.line(text());
    else if (this.#throttle.isDue(`${event.vm.uuid} ${event.device}`, atMs)) this.#out.lineIfReady(text());
  };

  readonly end = (): void => undefined;
}
