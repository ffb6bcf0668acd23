/**
 * Reads and writes of disks go on side by side; whatever changes the tree of images (snapshot, coalesce, resize) waits for them
 * and holds back new ones. First come, first served, so that neither kind starves.
 */
export class Gate {
  #sharing = 0;
  #exclusive = false;
  readonly #waiting: { readonly exclusive: boolean; readonly enter: () => void }[] = [];

  async shared<T>(work: () => Promise<T>): Promise<T> {
    if (this.#exclusive || this.#waiting.length > 0) await this.#wait(false);
    else this.#sharing++;
    try {
      return await work();
    } finally {
      this.#sharing--;
      this.#admit();
    }
  }

  async exclusive<T>(work: () => Promise<T> | T): Promise<T> {
    if (this.#exclusive || this.#sharing > 0 || this.#waiting.length > 0) await this.#wait(true);
    else this.#exclusive = true;
    try {
      return await work();
    } finally {
      this.#exclusive = false;
      this.#admit();
    }
  }

  #wait(exclusive: boolean): Promise<void> {
    return new Promise((enter) => this.#waiting.push({ exclusive, enter }));
  }

  /** Whoever is admitted is counted here already, so that nobody slips in between this and its first step. */
  #admit(): void {
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined || this.#exclusive) return;
      if (next.exclusive && this.#sharing > 0) return;
      this.#waiting.shift();
      if (next.exclusive) this.#exclusive = true;
      else this.#sharing++;
      next.enter();
    }
  }
}
