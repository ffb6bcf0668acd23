import { z } from 'zod';

/*
 * What a pools file may say. Messages follow a path such as `pools.paris.url` and must never repeat a value.
 */

const expected =
  (what: string) =>
  (issue: { readonly input?: unknown }): string =>
    issue.input === undefined ? 'is missing' : `expected ${what}`;

const text = (what: string) => z.string({ error: expected(what) }).min(1, `is empty: expected ${what}`);

/** All scalars are read as text, so that a password is never taken for a number. */
const flag = z
  .enum(['true', 'false'], { error: expected('true or false') })
  .transform((word) => word === 'true');

const url = text('https://host or https://host:port').transform((value, context) => {
  const parsed = URL.canParse(value) ? new URL(value) : null;
  const fault = urlFault(value, parsed);
  if (parsed === null || fault !== null) {
    context.addIssue(fault ?? 'is not a URL');
    return z.NEVER;
  }
  return `${parsed.protocol}//${parsed.host}`;
});

function urlFault(value: string, parsed: URL | null): string | null {
  if (value.includes('@')) {
    return 'contains credentials, and addresses are logged: write username and password_file instead';
  }
  if (parsed === null || !['https:', 'http:'].includes(parsed.protocol) || parsed.host === '') {
    return 'is not a URL of a pool: expected https://host or https://host:port';
  }
  if (parsed.pathname !== '/' || parsed.search !== '' || parsed.hash !== '') {
    return 'goes on after the host: expected https://host or https://host:port';
  }
  return null;
}

const fingerprint = text('a SHA-256 fingerprint').transform((value, context) => {
  const isHex = /^(?:[0-9a-f]{2}:)*[0-9a-f]{2}$|^[0-9a-f]*$/i.test(value);
  const digits = value.replaceAll(':', '').toLowerCase();
  if (isHex && digits.length === 64) {
    return digits;
  }
  const seen = isHex && digits.length === 40 ? 'is a SHA-1 fingerprint' : 'is not a fingerprint';
  context.addIssue(`${seen}: expected 64 hex digits of SHA-256, ${fingerprintCommand}`);
  return z.NEVER;
});

const fingerprintCommand =
  'as printed on the host by: openssl x509 -noout -fingerprint -sha256 -in /etc/xensource/xapi-ssl.pem';

const variableName = text('the name of an environment variable').regex(
  /^[A-Za-z_][A-Za-z0-9_]*$/,
  'is not the name of an environment variable',
);

const pool = z
  .strictObject(
    {
      url,
      username: text('a user name'),
      password: text('a password').optional(),
      password_file: text('the path of a file').optional(),
      password_env: variableName.optional(),
      fingerprints: z
        .array(fingerprint, { error: expected('a list of SHA-256 fingerprints, one per host') })
        .min(1, 'is an empty list: give one SHA-256 fingerprint per host, or leave it out')
        .optional(),
      ca_file: text('the path of a PEM file').optional(),
      insecure: flag.default(false),
      legacy_tls: flag.default(false),
    },
    { error: expected('the settings of a pool (url, username, …)') },
  )
  .superRefine((settings, context) => {
    for (const { at, fault } of faultsBetween(settings)) {
      context.addIssue({ code: 'custom', path: at === null ? [] : [at], message: fault });
    }
  });

interface Settings {
  readonly url: string;
  readonly password?: unknown;
  readonly password_file?: unknown;
  readonly password_env?: unknown;
  readonly fingerprints?: unknown;
  readonly ca_file?: unknown;
  readonly insecure: boolean;
  readonly legacy_tls: boolean;
}

/** Settings that are right alone, and wrong together. */
function* faultsBetween(settings: Settings): Generator<{ at: keyof Settings | null; fault: string }> {
  const passwords = (['password', 'password_file', 'password_env'] as const).filter(
    (key) => settings[key] !== undefined,
  );
  if (passwords.length !== 1) {
    const fault = passwords.length === 0 ? 'has no password' : `has ${passwords.join(' and ')}`;
    yield {
      at: passwords[1] ?? null,
      fault: `${fault}: write exactly one of password, password_file, password_env`,
    };
  }
  const trusts = (['fingerprints', 'ca_file', 'insecure'] as const).filter(
    (key) => settings[key] !== undefined && settings[key] !== false,
  );
  if (trusts.length > 1) {
    yield {
      at: trusts[1] ?? null,
      fault: `contradicts ${trusts[0] ?? ''}: write at most one of fingerprints, ca_file, insecure`,
    };
  }
  if (settings.url.startsWith('http:') && !settings.insecure) {
    yield {
      at: 'url',
      fault:
        'plain http sends the password in the clear: write https://, or add insecure: true to accept that',
    };
  }
  if (settings.legacy_tls && settings.fingerprints === undefined) {
    yield {
      at: 'legacy_tls',
      fault:
        'TLS 1.0 is only accepted from a host whose certificate is pinned: add its SHA-256 to fingerprints',
    };
  }
}

const poolName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
    'a pool’s name is made of letters, digits, ".", "_" and "-", and starts with a letter or digit',
  );

/** The whole file. */
export const poolsSchema = z.strictObject(
  {
    pools: z
      .record(poolName, pool, { error: expected('a map of pools by name') })
      .refine((pools) => Object.keys(pools).length > 0, 'names no pool'),
  },
  { error: () => 'the file is empty: expected "pools:" and under it the pools by name' },
);

/** One pool as the file describes it, checked; paths are still relative to the file. */
export type PoolSettings = z.output<typeof pool>;

/** Keys a pool may have, for messages. */
export const poolKeys: readonly string[] = Object.keys(pool.shape);
