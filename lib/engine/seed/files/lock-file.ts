/** Keeps two programs from working on the same files at once. The lock is a file beside them, on any file system. */
import { createHash } from 'node:crypto';
import { access, constants, open, readFile, rm, stat } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { ReplicationError } from '../../errors';
import type { SeedContext } from '../context';
import { seedFileError } from '../errors';

/** What was begun and has no holder's name after this time was left by a program that died in between. */
const unnamedMaxMs = 10_000;
const pollMs = 100;

const holder = z.object({
  kind: z.literal('xenrepl lock'),
  who: z.string(),
  host: z.string(),
  pid: z.number(),
  since: z.string(),
});
type Holder = z.infer<typeof holder>;

/** Files that this process holds: another lock with its number was left by a process that had the same one. */
const own = new Set<string>();

/**
 * Does `work` while nobody else may. A lock whose process died on this machine is taken over; of another machine nothing is
 * known, so its lock stands until it is taken away.
 *
 * @param action for the message: `export to /mnt/usb`
 * @throws ReplicationError `locked` where somebody else is at work, naming it and the file
 */
export async function underLockFile<T>(
  given: string,
  action: string,
  context: Pick<SeedContext, 'who' | 'clock' | 'signal'>,
  work: () => Promise<T>,
): Promise<T> {
  const path = resolve(given);
  if (!(await create(path, context))) await takeOver(path, action, context);
  own.add(path);
  try {
    return await work();
  } finally {
    own.delete(path);
    await rm(path, { force: true });
  }
}

/**
 * As `underLockFile`, for files that are only read: where nothing can be written beside them, as on a disk that is mounted
 * read-only, the lock stands in the machine's folder for temporary files.
 *
 * @param purpose what must not be done twice at once; anything else may be done with the same files
 */
export async function underReadersLock<T>(
  folder: string,
  purpose: string,
  action: string,
  context: Pick<SeedContext, 'who' | 'clock' | 'signal'>,
  work: () => Promise<T>,
): Promise<T> {
  const name = `.xenrepl-${createHash('sha256').update(purpose).digest('hex').slice(0, 16)}.lock`;
  return underLockFile(join((await mayWrite(folder)) ? folder : tmpdir(), name), action, context, work);
}

async function mayWrite(folder: string): Promise<boolean> {
  try {
    await access(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** False where the file is there already. */
async function create(path: string, { who, clock }: Pick<SeedContext, 'who' | 'clock'>): Promise<boolean> {
  const since = new Date(clock.nowMs()).toISOString();
  const self: Holder = { kind: 'xenrepl lock', who, host: hostname(), pid: process.pid, since };
  try {
    const handle = await open(path, 'wx', 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(self)}\n`);
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') return false;
    const hint = 'the lock of an export stands in its folder: name one that this user may write to';
    throw seedFileError(`Cannot write ${path} (${String(code)})`, hint, error);
  }
}

/** One at a time: the second of two that find the same dead holder must not take the lock of the first. */
async function takeOver(
  path: string,
  action: string,
  context: Pick<SeedContext, 'who' | 'clock' | 'signal'>,
): Promise<void> {
  const found = await holderOf(path, context);
  if (found !== null && !isDead(path, found)) throw locked(path, action, found);
  const taking = `${path}.taking`;
  if ((await ageMs(taking, context)) > unnamedMaxMs) await rm(taking, { force: true });
  if (!(await create(taking, context))) throw locked(path, action, await holderOf(taking, context));
  try {
    const now = await holderOf(path, context);
    if (now !== null && !isDead(path, now)) throw locked(path, action, now);
    await rm(path, { force: true });
    if (!(await create(path, context))) throw locked(path, action, await holderOf(path, context));
  } finally {
    await rm(taking, { force: true });
  }
}

/** Null where the file is gone, or has been without a name for so long that nobody will write it any more. */
async function holderOf(
  path: string,
  { clock, signal }: Pick<SeedContext, 'clock' | 'signal'>,
): Promise<Holder | null> {
  for (let waitedMs = 0; waitedMs < unnamedMaxMs; waitedMs += pollMs) {
    try {
      return holder.parse(JSON.parse(await readFile(path, 'utf8')));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return null;
      if (!(error instanceof SyntaxError) && !(error instanceof z.ZodError)) throw error;
    }
    if ((await ageMs(path, { clock })) > unnamedMaxMs) return null;
    await clock.sleep(pollMs, signal);
  }
  return null;
}

/** By the file system's clock and ours, which differ on a share: by a lot only where the file is old. */
async function ageMs(path: string, { clock }: Pick<SeedContext, 'clock'>): Promise<number> {
  try {
    return clock.nowMs() - (await stat(path)).mtimeMs;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 0;
    throw error;
  }
}

function isDead(path: string, { host, pid }: Holder): boolean {
  if (host !== hostname()) return false;
  if (pid === process.pid) return !own.has(path);
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return codeOf(error) === 'ESRCH';
  }
}

function locked(path: string, action: string, found: Holder | null): ReplicationError {
  const who = found === null ? 'another program' : `${found.who} (since ${found.since})`;
  const where = found === null ? '' : ` on ${found.host}`;
  return new ReplicationError('locked', `Cannot ${action}: ${who} is doing so, as ${path} says`, {
    retry: 'later',
    hint: `wait for it; where no such process runs${where} any more, delete that file`,
  });
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
}
