import type { RunEvent } from '../../lib/engine';

/** What a point waits for: kept while it is played, so that one that hangs says where. */
export class Pending {
  readonly #open = new Map<number, { readonly what: string; readonly sinceMs: number }>();
  #next = 0;

  /** Notes that something has begun; what it gives is to be called when that is over. */
  begin(what: string): () => void {
    const key = (this.#next += 1);
    this.#open.set(key, { what, sinceMs: performance.now() });
    return () => this.#open.delete(key);
  }

  /** Notes `work` for as long as it takes. */
  async during<T>(what: string, work: () => Promise<T>): Promise<T> {
    const over = this.begin(what);
    try {
      return await work();
    } finally {
      over();
    }
  }

  /** The oldest first, each with its age, and what keeps this process alive. */
  describe(): string {
    const nowMs = performance.now();
    const open = [...this.#open.values()].map(
      ({ what, sinceMs }) => `${what} (${((nowMs - sinceMs) / 1000).toFixed(1)} s)`,
    );
    const resources = new Map<string, number>();
    for (const name of process.getActiveResourcesInfo()) resources.set(name, (resources.get(name) ?? 0) + 1);
    const alive = [...resources].map(([name, count]) => `${String(count)} × ${name}`);
    return `pending: ${open.join(', ') || 'nothing that is watched'}; resources: ${alive.join(', ')}`;
  }
}

/** Steps of a run, from its events. A step that fails is over as the attempt is. */
export class OpenSteps {
  readonly #pending: Pending;
  readonly #open = new Map<string, () => void>();

  constructor(pending: Pending) {
    this.#pending = pending;
  }

  on(event: RunEvent): void {
    if (event.kind === 'step-started') {
      const name = [event.vm.uuid, event.step, event.device].join(' ');
      const what = event.device === null ? event.step : `${event.step} ${event.device}`;
      this.#open.set(name, this.#pending.begin(`step ${what} of "${event.vm.name}"`));
    } else if (event.kind === 'step-finished')
      this.#close([event.vm.uuid, event.step, event.device].join(' '));
    else if (event.kind === 'attempt-failed' || event.kind === 'run-finished')
      for (const name of this.#open.keys()) this.#close(name);
  }

  #close(name: string): void {
    this.#open.get(name)?.();
    this.#open.delete(name);
  }
}
