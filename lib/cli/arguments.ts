/** Values of options, read once at the border. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type { RateWish } from '../planner/bandwidth';

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `15m`, `1h30m`, `500ms`, `0`: milliseconds. A bare number is refused: of what? */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== text) {
    throw new InvalidArgumentError('Write a duration with its unit, such as 90s, 15m or 1h30m.');
  }
  const ms = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (unitMs[unit ?? ''] ?? 0), 0);
  if (ms > durationMaxMs) throw new InvalidArgumentError('At most 24d.');
  return Math.round(ms);
}

/** Timers of Node take no more than 2^31 ms; longer ones would fire at once. */
const durationMaxMs = 24 * 86_400_000;

/** Collects `--vm` given several times; uuids in any case. */
export function collectUuid(text: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), uuidOf(text, 'A VM is named by its uuid; xenrepl status lists them.')];
}

/** @param otherwise what is said where it is none */
export function uuidOf(text: string, otherwise: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) throw new InvalidArgumentError(otherwise);
  return text.toLowerCase();
}

/** A name that must not be empty: an unset variable in a script would otherwise mean something else. */
export function nonEmpty(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It is empty.');
  return text;
}

/** Of every command that runs jobs, so that all of them find what the others kept. */
export function cacheDirOption(): Option {
  return new Option(
    '--cache-dir <dir>',
    'keep what makes later deltas smaller in this folder (default: $XENREPL_CACHE_DIR, else ~/.cache/xenrepl)',
  ).argParser(nonEmpty);
}

/** How fast disks may be read, for commands that read them for a job and are no run of it. */
export interface OfRate {
  readonly limit?: number;
  /** False where `--no-limits` was given. */
  readonly limits: boolean;
}

export function rateOf({ limit, limits }: OfRate): RateWish {
  if (limit !== undefined) return { bytesPerSecond: limit };
  return limits ? 'as the job' : 'no limit';
}

export function limitOption(text: string): Option {
  return new Option('--limit <rate>', text).argParser(parseRate);
}

/** In place of what the job says, or nothing in its place. */
export function addRateOptions(command: Command): Command {
  return command
    .addOption(
      limitOption('read no faster than that, such as 20MiB a second, whatever the time of day').conflicts(
        'limits',
      ),
    )
    .addOption(new Option('--no-limits', 'as fast as it can (default: as the limits of the job say)'));
}

const sizeUnits: Readonly<Record<string, number>> = {
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** `20MiB`, `20MiB/s`: bytes a second. */
export function parseRate(text: string): number {
  const bytesPerSecond = sizeIn(text.replace(/\/s$/, ''));
  if (bytesPerSecond !== null) return bytesPerSecond;
  throw new InvalidArgumentError('Write a size with its unit for each second, such as 512KiB or 20MiB.');
}

/** `512MiB`, `4GiB`: bytes. A bare number is refused: of what? */
export function parseSize(text: string): number {
  const sizeBytes = sizeIn(text);
  if (sizeBytes !== null) return sizeBytes;
  throw new InvalidArgumentError('Write a size with its unit, such as 512MiB or 4GiB.');
}

function sizeIn(text: string): number | null {
  const [, count, unit] = /^(\d+(?:\.\d+)?) ?(KiB|MiB|GiB|TiB)$/.exec(text) ?? [];
  const sizeBytes = Math.round(Number(count) * (sizeUnits[unit ?? ''] ?? Number.NaN));
  return Number.isSafeInteger(sizeBytes) && sizeBytes > 0 ? sizeBytes : null;
}
