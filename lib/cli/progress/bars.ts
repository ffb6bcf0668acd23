import { MultiBar } from 'cli-progress';
import type { Params, SingleBar } from 'cli-progress';
import { clearScreenDown } from 'node:readline';
import type { RunEvent } from '../../engine';
import type { Output } from '../output/output';
import { bytes, duration, rate } from '../output/quantities';
import { padded, printable, truncated, widthOf } from '../output/text';
import { Meter } from './meter';
import type { Reading } from './meter';
import type { Progress } from './progress';
import { percent, wordsFor } from './words';

interface Bar {
  readonly bar: SingleBar;
  readonly meter: Meter;
}

/** Progress on a terminal: one bar per disk that is being copied, below the lines about everything else. */
export class BarProgress implements Progress {
  readonly #out: Output;
  readonly #err: Output | null;
  readonly #nowMs: () => number;
  readonly #screen: MultiBar;
  readonly #bars = new Map<string, Bar>();
  #waiting: string[] = [];

  /** @param err writes to the same terminal, if given: its lines go above the bars as well */
  constructor(out: Output, err: Output | null, nowMs: () => number) {
    this.#out = out;
    this.#err = err;
    err?.divert((line) => this.#tell([line]));
    this.#nowMs = nowMs;
    this.#screen = new MultiBar({
      stream: out.stream,
      format: (_, params, payload) => barLine(params, payload as BarPayload),
      fps: 5,
      hideCursor: true,
      clearOnComplete: true,
      linewrap: true,
      forceRedraw: true,
      // Signals are the business of the program, which has more to clean up than a cursor.
      gracefulExit: false,
    });
    this.#screen.on('redraw-pre', this.#printWaiting);
  }

  readonly show = (event: RunEvent): void => {
    if (event.kind === 'disk-progress') this.#progress(event);
    this.#tell(wordsFor(event).map(printable));
    if (event.kind === 'disk-copied' || event.kind === 'disk-opened') this.#remove(keyOf(event));
    if (event.kind === 'attempt-failed' || event.kind === 'vm-finished') this.#removeAll(event.vm.uuid);
  };

  readonly end = (): void => {
    this.#err?.divert(null);
    if (this.#screen.isActive) this.#screen.stop();
    this.#out.lines(this.#waiting);
    this.#waiting = [];
  };

  /** Lines go above the bars at the next drawing; without bars they go out at once. */
  #tell(lines: readonly string[]): void {
    if (this.#screen.isActive) this.#waiting.push(...lines);
    else this.#out.lines(lines);
  }

  /** A line may be longer than the terminal is wide and wrap over the bars below: those are wiped first. */
  readonly #printWaiting = (): void => {
    if (this.#waiting.length === 0) return;
    clearScreenDown(this.#out.stream);
    this.#out.lines(this.#waiting);
    this.#waiting = [];
  };

  #progress(event: Extract<RunEvent, { readonly kind: 'disk-progress' }>): void {
    const key = keyOf(event);
    const { bytesRead, bytesExpected, vm, device } = event;
    const known = this.#bars.get(key);
    const meter = known?.meter ?? new Meter();
    const reading = meter.read(this.#nowMs(), bytesRead, bytesExpected);
    const payload: BarPayload = { label: `${vm.name} disk ${device}`, reading };
    if (known !== undefined) known.bar.update(bytesRead, payload);
    else {
      const bar = this.#screen.create(bytesExpected, bytesRead, payload);
      this.#bars.set(key, { bar, meter });
    }
  }

  #remove(key: string): void {
    const known = this.#bars.get(key);
    if (known === undefined) return;
    this.#bars.delete(key);
    this.#screen.remove(known.bar);
  }

  #removeAll(vmUuid: string): void {
    for (const key of this.#bars.keys()) if (key.startsWith(`${vmUuid} `)) this.#remove(key);
  }
}

/** `100%  1023.9 MiB/8.0 GiB  1023.9 KiB/s  59 min 59 s left` */
const figuresWidth = 4 + 2 + 19 + 2 + 12 + 2 + 18;

interface BarPayload {
  readonly label: string;
  readonly reading: Reading;
}

/** `db1 disk 0  ████████░░░░░░░░  50%  1.0 GiB/2.0 GiB  85.3 MiB/s  12 s left`, cut to the width of the terminal. */
export function barLine(
  params: Pick<Params, 'value' | 'total'> & { readonly maxWidth?: number },
  { label, reading }: BarPayload,
): string {
  const width = (params.maxWidth ?? 80) - 1;
  const done = Math.min(params.value, params.total);
  const figures = [
    percent(done, params.total).padStart(4),
    `${bytes(done)}/${bytes(params.total)}`.padStart(19),
    (reading.bytesPerSecond === null ? '' : rate(reading.bytesPerSecond)).padStart(12),
    reading.remainingMs === null ? '' : `${duration(reading.remainingMs)} left`,
  ];
  const name = truncated(printable(label), Math.max(8, Math.floor(width / 3)));
  // As wide as figures get, so that a bar does not grow and shrink with them.
  const room = Math.min(40, width - widthOf(name) - figuresWidth - 4);
  if (room < 5) {
    const tail = figures.map((text) => text.trim()).filter((text) => text !== '');
    return truncated([name, ...tail].join('  '), width);
  }
  const tail = figures.join('  ').trimEnd();
  const full = Math.round(params.total === 0 ? room : (room * done) / params.total);
  return `${name}  ${padded('█'.repeat(full), room, 'left').replaceAll(' ', '░')}  ${tail}`;
}

function keyOf({ vm, device }: { readonly vm: { readonly uuid: string }; readonly device: string }): string {
  return `${vm.uuid} ${device}`;
}
