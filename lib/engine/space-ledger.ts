/**
 * What the VMs of one run are about to take of their target SR. Each sees what the pool says is free; together they would
 * count the same bytes several times.
 */
export class SpaceLedger {
  readonly #reserved = new Map<string, number>();
  readonly #waiting = new Set<() => void>();

  reservedByOthers(vmUuid: string): number {
    return [...this.#reserved].reduce((total, [uuid, bytes]) => (uuid === vmUuid ? total : total + bytes), 0);
  }

  /** Stands until it is released: also for what was written meanwhile, which is then counted twice rather than not at all. */
  reserve(vmUuid: string, bytes: number): void {
    if (bytes > 0) this.#reserved.set(vmUuid, bytes);
  }

  release(vmUuid: string): void {
    if (!this.#reserved.delete(vmUuid)) return;
    for (const wake of this.#waiting) wake();
  }

  /** Resolves when another VM has released something; rejects when `signal` is aborted. At once where nobody holds anything. */
  async released(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#reserved.size === 0) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
    signal.throwIfAborted();
  }
}
