/** Pools as `xo-cr-seed` names them: by a URL that may hold user and password. */
import { endpoint, findPoolsFile, loadPoolsFile } from '../../pools';
import type { PoolsFile } from '../../pools';
import type { PoolEndpoint } from '../../xapi';
import { exitCodes } from '../exit-codes';
import { CliError } from '../failure';
import type { Io } from '../io';

export interface XapiUrl {
  readonly protocol: 'https:' | 'http:';
  /** Host and, where it is not the protocol's own, port. */
  readonly host: string;
  readonly username: string | null;
  readonly password: string | null;
}

/**
 * `[https://][user:password@]host[:port]`. User and password may be percent-encoded; a password may hold any character
 * but must be encoded where it holds a percent sign. Never repeats what it was given, which may be a secret.
 *
 * @throws CliError of usage
 */
export function parseXapiUrl(text: string, what: string): XapiUrl {
  const [, scheme = 'https:', rest = ''] = /^(?:(https?:)\/\/)?(.*)$/s.exec(text) ?? [];
  // Without this `ftp://…` would be read as a user of that name.
  const otherScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(rest);
  // The last @ ends the credentials: passwords hold that character too.
  const at = rest.lastIndexOf('@');
  const credentials = at === -1 ? null : rest.slice(0, at);
  const host = rest.slice(at + 1).replace(/\/+$/, '');
  if (
    otherScheme ||
    !/^(\[[0-9a-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$/i.test(host) ||
    !URL.canParse(`https://${host}`)
  ) {
    throw new CliError(
      'usage',
      `The ${what} URL is none of a pool`,
      'write it as https://user:password@host',
      exitCodes.usage,
    );
  }
  const protocol = scheme === 'http:' ? 'http:' : 'https:';
  const colon = credentials?.indexOf(':') ?? -1;
  return {
    protocol,
    host: new URL(`${protocol}//${host}`).host,
    username: credentials === null ? null : decoded(colon === -1 ? credentials : credentials.slice(0, colon)),
    password: credentials === null || colon === -1 ? null : decoded(credentials.slice(colon + 1)),
  };
}

/** A password that only looks encoded is one. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The pools file, where there is one: hosts that it knows are trusted as it says. */
export function knownPools(io: Pick<Io, 'cwd' | 'env' | 'home'>): PoolsFile | null {
  const path = findPoolsFile(io);
  return path === null ? null : loadPoolsFile(path, io.env);
}

export interface Trusting {
  readonly pools: PoolsFile | null;
  readonly insecure: boolean;
}

/** @throws CliError where nobody says who we are there, or how the host proves who it is */
export function endpointFor(url: XapiUrl, what: string, { pools, insecure }: Trusting): PoolEndpoint {
  const known = knownEndpoint(url, pools);
  const { username, password, protocol, host } = url;
  if (protocol === 'http:' && !insecure) {
    throw new CliError(
      'usage',
      `The ${what} URL is plain http, which sends the password in the clear`,
      'write https://, or add --insecure to accept that',
      exitCodes.usage,
    );
  }
  if (username === null && known === null) {
    throw new CliError(
      'usage',
      `The ${what} URL names no user, and no pools file knows host ${host}`,
      'add the pool to the pools file (xenrepl --help shows its form), or write user:password@ before the host',
      exitCodes.usage,
    );
  }
  const credentials =
    username === null && known !== null
      ? { username: known.username, password: known.password }
      : { username: username ?? '', password: () => Promise.resolve(password ?? '') };
  return {
    name: known?.name ?? host,
    url: `${protocol}//${host}`,
    ...credentials,
    tls: insecure ? { kind: 'insecure' } : (known?.tls ?? { kind: 'ca', pem: null }),
    legacyTls: !insecure && (known?.legacyTls ?? false),
  };
}

function knownEndpoint({ host }: XapiUrl, pools: PoolsFile | null): PoolEndpoint | null {
  if (pools === null) return null;
  for (const name of pools.pools.keys()) {
    const found = endpoint(pools, name);
    if (new URL(found.url).host === host) return found;
  }
  return null;
}
