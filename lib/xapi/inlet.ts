type End = 'open' | 'ended' | Error;

/** What a connection receives, for one reader. Where the bytes are kept until then is up to who extends this. */
export abstract class Inlet {
  #unread: Buffer | null = null;
  #end: End = 'open';
  #wake: (() => void) | null = null;

  /** Bytes that came and were not taken. */
  protected abstract get waitingBytes(): number;

  /** Some of the bytes that wait: never none where any do. */
  protected abstract take(): Buffer;

  /** The reader has come back: what was taken before can be received into again. */
  protected abstract release(): void;

  /**
   * The next bytes, or null at the end of the stream. They are the caller's until the next call, no longer.
   * @throws what the connection failed with, after everything that came before
   */
  async read(): Promise<Buffer | null> {
    const unread = this.#unread;
    if (unread !== null) {
      this.#unread = null;
      return unread;
    }
    this.release();
    if (!this.#ready) await this.arrival();
    if (this.waitingBytes > 0) return this.take();
    if (this.#end instanceof Error) throw this.#end;
    return null;
  }

  /** Whether anything came (bytes, the end, a failure) within this time; without one, waits for it. */
  arrival(timeoutMs?: number): Promise<boolean> {
    if (this.#ready) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = timeoutMs === undefined ? null : setTimeout(() => settle(false), timeoutMs);
      const settle = (came: boolean): void => {
        if (timer !== null) clearTimeout(timer);
        this.#wake = null;
        resolve(came);
      };
      this.#wake = () => settle(true);
    });
  }

  /** Gives back what was read too much: the next read begins with it. */
  unread(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#unread = this.#unread === null ? bytes : Buffer.concat([bytes, this.#unread]);
  }

  protected get isAwaited(): boolean {
    return this.#wake !== null;
  }

  /** Tells who waits that bytes have come. */
  protected wake(): void {
    this.#wake?.();
  }

  /** Nothing more will come. Only the first end counts. */
  protected finish(end: Exclude<End, 'open'>): void {
    if (this.#end === 'open') this.#end = end;
    this.wake();
  }

  get #ready(): boolean {
    return this.#unread !== null || this.waitingBytes > 0 || this.#end !== 'open';
  }
}
