import { isWebUrl } from '../config';
import type { WebhookChannel } from '../config';
import type { Notice } from './notices';

const withinMs = 15_000;

/**
 * Posts a notice as JSON. `text` alone is what chat programs show; the rest is for programs.
 * @throws Error without the URL, which is a secret with many of them
 */
export async function postWebhook(channel: WebhookChannel, notice: Notice, stop: AbortSignal): Promise<void> {
  const url = channel.url();
  if (!isWebUrl(url)) throw new Error(`the address of ${channel.name} is not http:// or https://`);
  const { kind, atMs, pool, job, vm, subject, text } = notice;
  let status: number;
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        text: `${subject}\n${text}`,
        kind,
        at: new Date(atMs).toISOString(),
        pool,
        job,
        vm,
        subject,
      }),
      redirect: 'error',
      signal: AbortSignal.any([stop, AbortSignal.timeout(withinMs)]),
    });
    status = response.status;
    await response.body?.cancel();
  } catch (error) {
    throw new Error(`the webhook does not answer (${reasonOf(error)})`, { cause: error });
  }
  if (status < 200 || status > 299) throw new Error(`the webhook answered with status ${String(status)}`);
}

/** What the network says; messages of fetch may repeat the URL. */
function reasonOf(error: unknown): string {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  if (typeof cause === 'object' && cause !== null && 'code' in cause) return String(cause.code);
  return error instanceof Error ? error.name : 'unknown';
}
