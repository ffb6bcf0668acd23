/** What the demo tells: numbered steps, checks that are true or not, and one table at the end. */

interface Row {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

export class Story {
  readonly #rows: Row[] = [];
  readonly #startedMs = performance.now();
  #steps = 0;

  step(text: string): void {
    this.#steps += 1;
    this.say(`\n[${this.#elapsed()}] ${String(this.#steps)}. ${text}`);
  }

  say(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  /** Records whether something that the demo promises is true. */
  check(name: string, ok: boolean, detail: string): void {
    this.#rows.push({ name, ok, detail });
    this.say(`   ${ok ? 'ok' : 'FAILED'}  ${name}: ${detail}`);
  }

  /** Prints the table; true where every promise held. */
  end(): boolean {
    const width = Math.max(...this.#rows.map(({ name }) => name.length));
    this.say(`\n${'-'.repeat(100)}`);
    for (const { name, ok, detail } of this.#rows) {
      this.say(`${ok ? 'ok    ' : 'FAILED'}  ${name.padEnd(width)}  ${detail}`);
    }
    this.say('-'.repeat(100));
    const failed = this.#rows.filter(({ ok }) => !ok).map(({ name }) => name);
    this.say(
      failed.length === 0
        ? `all ${String(this.#rows.length)} checks hold, ${this.#elapsed()}`
        : `${String(failed.length)} of ${String(this.#rows.length)} checks failed: ${failed.join('; ')}`,
    );
    return failed.length === 0;
  }

  #elapsed(): string {
    return `${((performance.now() - this.#startedMs) / 1000).toFixed(1)} s`;
  }
}

export function mib(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(2)} MiB`;
}
