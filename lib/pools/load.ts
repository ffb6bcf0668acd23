import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { PoolEndpoint, TlsPolicy } from '../xapi/endpoint';
import { parsePoolsText, type ParsedDocument } from './document';
import { PoolsFileError } from './errors';
import { checkPrivateFile, readPrivateFile, systemCode } from './private-file';
import { problemsOf } from './problems';
import { poolsSchema, type PoolSettings } from './schema';

/** The pools that a pools file names. */
export interface PoolsFile {
  readonly path: string;
  readonly pools: ReadonlyMap<string, PoolEndpoint>;
}

/**
 * Reads and checks a pools file. Passwords that stand in other files or in the environment are not read yet: each
 * endpoint reads its own when it connects.
 *
 * @param env where `password_env` is looked up, when it is
 * @throws PoolsFileError naming file and line of each fault; also where the file, or a password file it names, may
 *   be accessed by group or others
 */
export function loadPoolsFile(path: string, env: NodeJS.ProcessEnv = process.env): PoolsFile {
  const document = parsePoolsText(path, readPrivateFile(path));
  const checked = poolsSchema.safeParse(document.value);
  if (!checked.success) {
    throw new PoolsFileError(path, problemsOf(checked.error.issues, document));
  }
  const pools = Object.entries(checked.data.pools).map(([name, settings]): [string, PoolEndpoint] => [
    name,
    endpointOf(name, settings, { path, document, env }),
  ]);
  return { path, pools: new Map(pools) };
}

/**
 * The pool of this name.
 *
 * @throws PoolsFileError listing the names that the file knows
 */
export function endpoint(file: PoolsFile, name: string): PoolEndpoint {
  const found = file.pools.get(name);
  if (found === undefined) {
    const known = [...file.pools.keys()].toSorted().join(', ');
    throw new PoolsFileError(file.path, [
      { line: null, text: `there is no pool "${name}" in this file; it names: ${known}` },
    ]);
  }
  return found;
}

interface Origin {
  readonly path: string;
  readonly document: ParsedDocument;
  readonly env: NodeJS.ProcessEnv;
}

function endpointOf(name: string, settings: PoolSettings, origin: Origin): PoolEndpoint {
  return {
    name,
    url: settings.url,
    username: settings.username,
    password: passwordOf(name, settings, origin),
    tls: tlsOf(name, settings, origin),
    legacyTls: settings.legacy_tls,
  };
}

/** A function and not a string, so that an endpoint can be logged, printed or serialised without harm. */
function passwordOf(
  name: string,
  settings: PoolSettings,
  { path, document, env }: Origin,
): () => Promise<string> {
  const { password, password_file: file, password_env: variable } = settings;
  if (file !== undefined) {
    const passwordPath = resolve(dirname(path), file);
    checkPrivateFile(passwordPath);
    return () => Promise.resolve().then(() => readPassword(passwordPath));
  }
  if (variable !== undefined) {
    const line = document.lineOf(['pools', name, 'password_env']);
    return () => Promise.resolve().then(() => env[variable] || refuseUnset(path, line, name));
  }
  return () => Promise.resolve(password ?? '');
}

function readPassword(path: string): string {
  const password = readPrivateFile(path).replace(/\r?\n$/, ''); // editors end the last line
  if (password === '' || /[\r\n]/.test(password)) {
    throw new PoolsFileError(path, [{ line: null, text: 'expected one line that is the password' }]);
  }
  return password;
}

/** The name is not repeated: who mistakes `password_env` for `password` would see the password in a log. */
function refuseUnset(path: string, line: number, name: string): never {
  throw new PoolsFileError(path, [
    { line, text: `pools.${name}.password_env: the environment variable that it names is not set` },
  ]);
}

function tlsOf(name: string, settings: PoolSettings, { path, document }: Origin): TlsPolicy {
  if (settings.insecure) {
    return { kind: 'insecure' };
  }
  if (settings.fingerprints !== undefined) {
    return { kind: 'fingerprints', sha256: settings.fingerprints };
  }
  if (settings.ca_file === undefined) {
    return { kind: 'ca', pem: null };
  }
  const line = document.lineOf(['pools', name, 'ca_file']);
  return { kind: 'ca', pem: readAuthorities(path, line, resolve(dirname(path), settings.ca_file), name) };
}

/** Certificates are public: anybody may read the file, but it must hold some. */
function readAuthorities(path: string, line: number, authoritiesPath: string, name: string): string {
  const refuse = (fault: string): never => {
    throw new PoolsFileError(path, [{ line, text: `pools.${name}.ca_file: ${authoritiesPath} ${fault}` }]);
  };
  let pem: string;
  try {
    pem = readFileSync(authoritiesPath, 'utf8');
  } catch (error) {
    return refuse(`cannot be read (${systemCode(error)})`);
  }
  return pem.includes('-----BEGIN CERTIFICATE-----') ? pem : refuse('holds no certificate in PEM form');
}
