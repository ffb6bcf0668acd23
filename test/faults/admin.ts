/** Somebody else at a pool: calls and transfers that this project never makes by itself. */
import { request } from 'node:https';
import type { SimulatedPool } from '../../lib/simulator';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export class CallRefused extends Error {
  readonly code: string;

  constructor(method: string, code: string, parameters: readonly string[]) {
    super(`${method}: ${[code, ...parameters].join(' ')}`);
    this.code = code;
  }
}

export class Admin {
  readonly #pool: SimulatedPool;
  #session: string | null = null;

  constructor(pool: SimulatedPool) {
    this.#pool = pool;
  }

  /** One call, as it was answered; again with a new session where the pool has dropped ours. */
  async call(method: string, ...parameters: readonly Json[]): Promise<Json> {
    for (let tries = 1; ; tries += 1) {
      this.#session ??= asText(
        await this.#raw('session.login_with_password', [this.#pool.username, this.#pool.password]),
      );
      try {
        return await this.#raw(method, [this.#session, ...parameters]);
      } catch (error) {
        if (tries > 1 || !(error instanceof CallRefused) || error.code !== 'SESSION_INVALID') throw error;
        this.#session = null;
      }
    }
  }

  async text(method: string, ...parameters: readonly Json[]): Promise<string> {
    return asText(await this.call(method, ...parameters));
  }

  /** Ref of the object with this uuid. */
  ref(className: string, uuid: string): Promise<string> {
    return this.text(`${className}.get_by_uuid`, uuid);
  }

  /** GET of a transfer path, with our session. */
  async download(path: string, query: Readonly<Record<string, string>>): Promise<Buffer> {
    return this.#transfer('GET', path, query, null);
  }

  async upload(path: string, query: Readonly<Record<string, string>>, body: Buffer): Promise<void> {
    await this.#transfer('PUT', path, query, body);
  }

  async leave(): Promise<void> {
    if (this.#session !== null) await this.#raw('session.logout', [this.#session]).catch(() => null);
    this.#session = null;
  }

  async #transfer(
    method: string,
    path: string,
    query: Readonly<Record<string, string>>,
    body: Buffer | null,
  ): Promise<Buffer> {
    await this.call('pool.get_all');
    const words = new URLSearchParams({ session_id: this.#session ?? '', ...query }).toString();
    return this.#send(method, `${path}?${words}`, body);
  }

  async #raw(method: string, params: readonly Json[]): Promise<Json> {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    const answer = JSON.parse((await this.#send('POST', '/jsonrpc', Buffer.from(body))).toString('utf8')) as {
      readonly result?: Json;
      readonly error?: { readonly message: string; readonly data: readonly string[] } | null;
    };
    if (answer.error !== undefined && answer.error !== null)
      throw new CallRefused(method, answer.error.message, answer.error.data);
    return answer.result ?? null;
  }

  #send(method: string, path: string, body: Buffer | null): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const url = new URL(path, this.#pool.url);
      const sent = request(url, {
        method,
        rejectUnauthorized: false,
        agent: false,
        headers: { 'content-length': body?.length ?? 0 },
      });
      sent.once('error', reject);
      sent.once('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const body = Buffer.concat(chunks);
          if (response.statusCode === 200) resolve(body);
          else
            reject(new CallRefused(method, `HTTP ${String(response.statusCode)}`, [body.toString('utf8')]));
        });
      });
      sent.end(body ?? undefined);
    });
  }
}

function asText(answer: Json): string {
  if (typeof answer !== 'string') throw new Error(`answered ${JSON.stringify(answer)} where a text is due`);
  return answer;
}
