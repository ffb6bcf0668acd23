import type { Group } from './point';
import type { Result } from './play';

export function printPoint({ group, point, durationMs, failure, weakness }: Result): void {
  const word = failure !== null ? 'FAILED' : weakness !== null ? 'weak' : 'passed';
  const seconds = (durationMs / 1000).toFixed(1).padStart(5);
  console.log(`${word.padEnd(6)} ${seconds} s  ${group.title}: ${point.name}`);
  const reason = failure ?? weakness;
  if (reason !== null) console.log(`                 ${reason}`);
}

/** Gives the number of points that failed. */
export function printTable(groups: readonly Group[], results: readonly Result[]): number {
  const width = Math.max(...groups.map(({ title }) => title.length));
  console.log(`\n${'group'.padEnd(width)}  points  passed    weak  failed  what is expected`);
  for (const group of groups) {
    const own = results.filter((result) => result.group === group);
    if (own.length === 0) continue;
    const failed = own.filter(({ failure }) => failure !== null).length;
    const weak = own.filter(({ weakness }) => weakness !== null).length;
    const numbers = [own.length, own.length - failed - weak, weak, failed];
    console.log(
      `${group.title.padEnd(width)}  ${numbers.map((number) => String(number).padStart(6)).join('  ')}  ${group.outcome}`,
    );
  }
  const failed = results.filter(({ failure }) => failure !== null).length;
  const weak = results.filter(({ weakness }) => weakness !== null).length;
  const seconds = results.reduce((sum, { durationMs }) => sum + durationMs, 0) / 1000;
  const memory = process.resourceUsage().maxRSS / 1024;
  console.log(`\n${seconds.toFixed(0)} s, at most ${memory.toFixed(0)} MiB of memory`);
  if (weak > 0)
    console.log(`${String(weak)} known weaknesses: neither passed nor failed, each with its reason above`);
  console.log(`${String(results.length - failed - weak)} passed, ${String(failed)} failed`);
  return failed;
}
