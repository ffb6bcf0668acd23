/** What was done, so that it can be taken back: the newest first, each within a bound, whatever the others do. */
import type { CallOptions } from '../../xapi';

const actionMaxMs = 60_000;

export class Undo {
  readonly #actions: { readonly what: string; readonly take: (options: CallOptions) => Promise<void> }[] = [];

  /**
   * To be called before the change itself: a call that was not answered may have been carried out nevertheless, so
   * taking back must do no harm where nothing was done.
   */
  before(what: string, take: (options: CallOptions) => Promise<void>): void {
    this.#actions.push({ what, take });
  }

  /** Returns what could not be taken back, each with its reason. */
  async run(): Promise<readonly string[]> {
    const failed: string[] = [];
    for (const { what, take } of this.#actions.reverse()) {
      // Not the caller's signal: the wish to stop must not stop the taking back.
      await take({ timeoutMs: actionMaxMs }).catch((error: unknown) => {
        failed.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      });
    }
    this.#actions.length = 0;
    return failed;
  }
}
