/** The agent's memory in a file, written when something has changed, but not all the time. */
import { readHistory, writeHistory } from '../schedule';
import type { Remembered } from '../schedule';

const writeEveryMs = 5_000;

export class Memory {
  readonly #folder: string;
  readonly #nowMs: () => number;
  #writtenAtMs = -Infinity;
  #failed = false;

  constructor(folder: string, nowMs: () => number) {
    this.#folder = folder;
    this.#nowMs = nowMs;
  }

  read(): Remembered {
    return readHistory(this.#folder);
  }

  /**
   * @param last there will be no other occasion
   * @throws the first time that it cannot be written, so that it is told once
   */
  write(jobs: Remembered, last: boolean): void {
    if (!last && this.#nowMs() - this.#writtenAtMs < writeEveryMs) return;
    this.#writtenAtMs = this.#nowMs();
    try {
      writeHistory(this.#folder, jobs);
      this.#failed = false;
    } catch (error) {
      if (this.#failed) return;
      this.#failed = true;
      throw error;
    }
  }
}
