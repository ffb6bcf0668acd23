/** Brings notices to people, several times where it fails, without ever holding up the agent. */
import type { Clock } from '../../engine';
import type { Channel } from '../config';
import type { AgentEvent, Report } from '../events';
import { sendMail } from './mail';
import { Notices } from './notices';
import type { Notice } from './notices';
import { postWebhook } from './webhook';

const triesMax = 3;
const retryAfterMs = 15_000;
/** Of notices that wait for a channel that does not answer; the newest are dropped, and that is told. */
const waitingMax = 100;

export class Notifier {
  readonly #channels: readonly Channel[];
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #report: Report;
  readonly #notices = new Notices();
  readonly #queues = new Map<Channel, { tail: Promise<void>; waiting: number }>();

  constructor(channels: readonly Channel[], clock: Clock, signal: AbortSignal, report: Report) {
    this.#channels = channels;
    this.#clock = clock;
    this.#signal = signal;
    this.#report = report;
  }

  take(event: AgentEvent): void {
    const notice = this.#notices.of(event, this.#clock.nowMs());
    if (notice === null) return;
    for (const channel of this.#channels)
      if (channel.on.includes(notice.kind)) this.#enqueue(channel, notice);
  }

  /** Resolves when all that was taken until now was delivered or given up. */
  async settled(): Promise<void> {
    await Promise.all([...this.#queues.values()].map(({ tail }) => tail));
  }

  #enqueue(channel: Channel, notice: Notice): void {
    const queue = this.#queues.get(channel) ?? { tail: Promise.resolve(), waiting: 0 };
    this.#queues.set(channel, queue);
    if (queue.waiting >= waitingMax) {
      this.#failed(channel, new Error(`dropped, since ${String(waitingMax)} others wait: ${notice.subject}`));
      return;
    }
    queue.waiting += 1;
    queue.tail = queue.tail
      .then(() => this.#deliver(channel, notice))
      .catch((error: unknown) => this.#failed(channel, error))
      .finally(() => {
        queue.waiting -= 1;
      });
  }

  async #deliver(channel: Channel, notice: Notice): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await (channel.kind === 'webhook'
          ? postWebhook(channel, notice, this.#signal)
          : sendMail(channel, notice));
        return;
      } catch (error) {
        if (tries >= triesMax || this.#signal.aborted) throw error;
        await this.#clock.sleep(retryAfterMs * tries, this.#signal);
      }
    }
  }

  #failed({ name, kind }: Channel, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#report({ kind: 'notification-failed', channel: `${name}.${kind}`, message });
  }
}
