import type { LineTime } from '../../lib/simulator/line';

/** Time that passes when a test says so. */
export class DrivenTime implements LineTime {
  #nowMs = 0;
  readonly #timers = new Set<{ readonly atMs: number; readonly then: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  after(ms: number, then: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, then };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers that were not called off. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Every timer fires at its time. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.settle();
    for (let next = this.#next(untilMs); next !== null; next = this.#next(untilMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#timers.delete(next);
      next.then();
      await this.settle();
    }
    this.#nowMs = untilMs;
  }

  /** Timers that were due meanwhile fire late, all at the end. */
  async jump(ms: number): Promise<void> {
    await this.settle();
    this.#nowMs += ms;
    await this.advance(0);
  }

  /** What was let go goes on until it waits again. */
  settle(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  #next(untilMs: number): { readonly atMs: number; readonly then: () => void } | null {
    const due = [...this.#timers].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs);
    return due[0] ?? null;
  }
}
