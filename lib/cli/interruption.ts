/** The wish to stop: by signal, or because nobody reads the output any more. */
import { setMaxListeners } from 'node:events';
import { stopCodes } from './exit-codes';
import type { Io, StopSignal } from './io';

/**
 * Package runners pass a Ctrl-C on to us that the terminal has sent us already. Signals this close together are one
 * press of one person; the second press, which gives up cleaning up, must be meant.
 */
const samePressMs = 500;

export class Interruption {
  readonly #controller = new AbortController();
  readonly #io: Pick<Io, 'nowMs' | 'exit'>;
  readonly #onFirst: () => void;
  readonly #stopListening: () => void;
  #firstMs = 0;
  #exitCode: number | null = null;
  #expected = false;
  #hangUp: (() => void) | null = null;

  /** @param onFirst called at the first press, to tell what happens now and what a second press does */
  constructor(io: Pick<Io, 'nowMs' | 'exit' | 'onSignal'>, onFirst: () => void) {
    this.#io = io;
    // Every call in flight listens to it, and there are as many as a command wants.
    setMaxListeners(0, this.#controller.signal);
    this.#onFirst = onFirst;
    this.#stopListening = io.onSignal((signal) => this.#signalled(signal));
  }

  /** Aborted as soon as somebody wants us to stop. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Exit code of the interruption; null where there was none, or where it is the normal end. */
  get exitCode(): number | null {
    return this.#expected ? null : this.#exitCode;
  }

  /** For what runs until it is stopped: being stopped is no failure then. */
  expect(): void {
    this.#expected = true;
  }

  /** For what runs without a terminal, where a hang-up means: read your files anew. */
  onHangUp(handler: () => void): void {
    this.#hangUp = handler;
  }

  /** Nobody reads any more: as a Unix program would, we stop; but not without cleaning up. */
  readerLeft(): void {
    this.#stop(stopCodes.SIGPIPE, 'the reader of the output has left');
  }

  release(): void {
    this.#stopListening();
  }

  #signalled(signal: StopSignal): void {
    if (signal === 'SIGHUP' && this.#hangUp !== null) {
      this.#hangUp();
      return;
    }
    if (this.#exitCode === null) {
      this.#firstMs = this.#io.nowMs();
      this.#stop(stopCodes[signal], `stopped by ${signal}`);
      this.#onFirst();
    } else if (this.#io.nowMs() - this.#firstMs >= samePressMs) {
      this.#io.exit(this.#exitCode);
    }
  }

  #stop(exitCode: number, reason: string): void {
    if (this.#exitCode !== null) return;
    this.#exitCode = exitCode;
    this.#controller.abort(new Error(reason));
  }
}
