/** What a point's line of the table says: filled in while it is played, by what was run and what was looked at. */
import type { RunReport } from '../../lib/engine';

export interface Row {
  readonly first: string;
  readonly next: string;
  readonly digests: string;
  readonly leftovers: string;
}

const wordsMax = 60;

export class Trace {
  #runs: string[] = [];
  #digests = '';
  #leftovers = '';

  /** Forgets what was done to prepare the pools, and the points before. */
  reset(): void {
    this.#runs = [];
    this.#digests = '';
    this.#leftovers = '';
  }

  reported(report: RunReport): void {
    this.#runs.push(report.vms.map(inWords).join(', ') || 'no VM');
  }

  died(): void {
    this.#runs.push('died');
  }

  compared(points: number, disks: number): void {
    this.#digests = `equal: ${String(disks)} of ${String(points)}`;
  }

  /**
   * @param others what was found and belongs to somebody else in this point
   * @param ended tasks of calls whose caller died: XAPI's own, removed by it an hour after their end
   */
  leftOver(others: number, ended: number): void {
    const found = [
      ...(others === 0 ? [] : [`${String(others)} of others`]),
      ...(ended === 0 ? [] : [`${String(ended)} ended tasks of XAPI`]),
    ];
    this.#leftovers = found.join(', ') || 'none';
  }

  row(): Row {
    const last = this.#runs.length > 1 ? (this.#runs.at(-1) ?? '') : '';
    const before = this.#runs.length > 1 ? this.#runs.slice(0, -1) : this.#runs;
    return {
      first: summed(before),
      next: last,
      digests: this.#digests,
      leftovers: this.#leftovers,
    };
  }
}

function inWords({ outcome, attempts, disks }: RunReport['vms'][number]): string {
  if (outcome.kind === 'replicated') {
    const sentKib = Math.round(disks.reduce((sum, { sentBytes }) => sum + sentBytes, 0) / 1024);
    const tries = attempts === 1 ? '' : `, attempt ${String(attempts)}`;
    return `${outcome.copyKind} of ${String(sentKib)} KiB${tries}`;
  }
  if (outcome.kind !== 'blocked') return `${outcome.kind}: ${outcome.error.code}`;
  const reason = outcome.error.message.replace(/^[^:]*\): /, '').replaceAll(/ \([0-9a-f-]{36}\)/g, '');
  return `blocked: ${reason.length > wordsMax ? `${reason.slice(0, wordsMax - 1)}…` : reason}`;
}

/** Thirty runs that all said the same are one word. */
function summed(runs: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const run of runs) {
    const kind = runs.length > 3 ? run.replace(/ of \d+ KiB/, '') : run;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].map(([run, count]) => (count === 1 ? run : `${String(count)} × ${run}`)).join('; ');
}
