/** The agent's own settings file. It holds no secrets: it names the files and variables that do. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { parsePoolsText, PoolsFileError, readPrivateFile } from '../pools';
import { parseAddress } from './serve';
import { defaultSettings } from './settings';
import type { AgentSettings } from './settings';

/** Read when it is needed, so that a changed one needs no restart. @throws where it is not there */
export type Secret = () => string;

export const noticeKinds = ['violation', 'failure', 'recovery'] as const;
export type NoticeKind = (typeof noticeKinds)[number];

export interface WebhookChannel {
  readonly kind: 'webhook';
  /** For messages: never the URL, which may be a secret itself. */
  readonly name: string;
  readonly on: readonly NoticeKind[];
  readonly url: Secret;
}

export interface MailChannel {
  readonly kind: 'email';
  readonly name: string;
  readonly on: readonly NoticeKind[];
  readonly host: string;
  readonly port: number;
  /** TLS from the first byte; otherwise STARTTLS, which is insisted on where there is a password. */
  readonly secure: boolean;
  readonly login: { readonly username: string; readonly password: Secret } | null;
  readonly sender: string;
  readonly recipients: readonly string[];
}

export type Channel = WebhookChannel | MailChannel;

export interface AgentConfig {
  readonly settings: AgentSettings;
  readonly listen: string | null;
  readonly channels: readonly Channel[];
}

export const defaultConfig: AgentConfig = { settings: defaultSettings, listen: null, channels: [] };

/** @throws PoolsFileError naming the file and line of each fault, and no value of it */
export function loadAgentConfig(path: string, env: NodeJS.ProcessEnv): AgentConfig {
  const document = parsePoolsText(path, readText(path));
  const parsed = schema.safeParse(document.value === null ? {} : document.value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => ({
      line: issue.path.length === 0 ? 1 : document.lineOf(issue.path),
      text: `${issue.path.map(String).join('.')}${issue.path.length === 0 ? '' : ': '}${issue.message}`,
    }));
    throw new PoolsFileError(path, problems);
  }
  const { listen, poll, concurrency, notifications } = parsed.data;
  return {
    listen,
    settings: {
      ...defaultSettings,
      pollMs: poll,
      concurrency: { total: concurrency.total, perPool: concurrency.per_pool },
    },
    channels: notifications.map((one, index) =>
      channelOf(one, `notifications.${String(index)}`, { path, env }),
    ),
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new PoolsFileError(path, [{ line: null, text: `it cannot be read (${code})` }]);
  }
}

const filled = z.string().min(1, 'is empty');
const whole = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'is not a whole number')
    .transform(Number)
    .refine(
      (value) => value >= least && value <= most,
      `is not between ${String(least)} and ${String(most)}`,
    );

/** At most half a minute: within a minute a change is followed. */
const poll = z
  .string()
  .regex(/^\d{1,2}s$/, 'is not a time such as 15s')
  .transform((text) => Number(text.slice(0, -1)) * 1000)
  .refine((ms) => ms >= 1_000 && ms <= 30_000, 'is not between 1s and 30s');

const address = filled.superRefine((text, context) => {
  try {
    parseAddress(text);
  } catch {
    context.addIssue('is not host:port, such as 127.0.0.1:9464');
  }
});

const on = z
  .array(z.enum(noticeKinds, `is none of ${noticeKinds.join(', ')}`))
  .default([...noticeKinds])
  .transform((kinds): readonly NoticeKind[] => kinds);

const webhook = z
  .strictObject({ url: filled.optional(), url_file: filled.optional(), url_env: filled.optional() })
  .refine(
    ({ url, url_file: file, url_env: variable }) =>
      [url, file, variable].filter((one) => one !== undefined).length === 1,
    'needs exactly one of url, url_file, url_env',
  )
  .refine(({ url }) => url === undefined || isWebUrl(url), 'url is not http:// or https://');

const email = z
  .strictObject({
    host: filled,
    port: whole(1, 65_535).optional(),
    secure: z
      .enum(['true', 'false'], 'is neither true nor false')
      .default('false')
      .transform((word) => word === 'true'),
    username: filled.optional(),
    password_file: filled.optional(),
    password_env: filled.optional(),
    from: filled,
    to: z.array(filled).min(1, 'names nobody'),
  })
  .refine(
    ({ username, password_file: file, password_env: variable }) =>
      [file, variable].filter((one) => one !== undefined).length === (username === undefined ? 0 : 1),
    'needs one of password_file, password_env with username, and neither without',
  );

const notification = z
  .strictObject({ webhook: webhook.optional(), email: email.optional(), on })
  .refine(
    (one) => (one.webhook === undefined) !== (one.email === undefined),
    'needs exactly one of webhook, email',
  );

const schema = z.strictObject({
  listen: address.nullable().default(null),
  poll: poll.default(defaultSettings.pollMs),
  concurrency: z
    .strictObject({
      total: whole(1, 1000).default(defaultSettings.concurrency.total),
      per_pool: whole(1, 1000).default(defaultSettings.concurrency.perPool),
    })
    .default({
      total: defaultSettings.concurrency.total,
      per_pool: defaultSettings.concurrency.perPool,
    }),
  notifications: z.array(notification).default([]),
});

interface Origin {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
}

function channelOf(one: z.output<typeof notification>, at: string, origin: Origin): Channel {
  const { webhook: hook, email: mail, on: kinds } = one;
  if (hook !== undefined) {
    const { url, url_file: file, url_env: variable } = hook;
    const read = url === undefined ? secretOf(file, variable, `${at}.webhook`, origin) : () => url;
    return { kind: 'webhook', name: at, on: kinds, url: read };
  }
  if (mail === undefined) throw new Error(`${at} has neither webhook nor email`);
  const { username, password_file: file, password_env: variable, secure } = mail;
  return {
    kind: 'email',
    name: at,
    on: kinds,
    host: mail.host,
    port: mail.port ?? (secure ? 465 : 587),
    secure,
    login:
      username === undefined ? null : { username, password: secretOf(file, variable, `${at}.email`, origin) },
    sender: mail.from,
    recipients: mail.to,
  };
}

function secretOf(
  file: string | undefined,
  variable: string | undefined,
  at: string,
  { path, env }: Origin,
): Secret {
  if (file !== undefined) {
    const secretPath = resolve(dirname(path), file);
    return () => readPrivateFile(secretPath).trimEnd();
  }
  return () => {
    const value = env[variable ?? ''];
    if (value !== undefined && value !== '') return value;
    throw new PoolsFileError(path, [
      { line: null, text: `${at}: the environment variable that it names is not set` },
    ]);
  };
}

export function isWebUrl(text: string): boolean {
  return URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol);
}
