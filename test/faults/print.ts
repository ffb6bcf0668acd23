/** Prints rows in the table's order, each as soon as all before it are known. */
import type { Group } from './point';
import type { Numbered, Result } from './play';

const widths = { first: 44, next: 30, digests: 13, leftovers: 11 };

export class Printer {
  readonly #chosen: readonly Numbered[];
  readonly #results = new Map<number, Result>();
  readonly #pointWidth: number;
  #printed = 0;
  #group: Group | null = null;

  constructor(chosen: readonly Numbered[]) {
    this.#chosen = chosen;
    this.#pointWidth = Math.max(0, ...chosen.map(({ point }) => point.name.length));
  }

  add(result: Result): void {
    this.#results.set(result.index, result);
    for (;;) {
      const next = this.#chosen[this.#printed];
      const known = next === undefined ? undefined : this.#results.get(next.index);
      if (next === undefined || known === undefined) return;
      this.#print(next, known);
      this.#printed += 1;
    }
  }

  /** The last lines. Gives the number of points that failed. */
  end(durationS: number): number {
    const results = [...this.#results.values()];
    const failed =
      this.#chosen.length -
      this.#chosen.filter(({ index }) => this.#results.get(index)?.failure === null).length;
    const slow = results.sort((a, b) => b.durationMs - a.durationMs)[0];
    const slowest = this.#chosen.find(({ index }) => index === slow?.index);
    console.log(`\n${durationS.toFixed(0)} s; the slowest took ${seconds(slow)}: ${nameOf(slowest)}`);
    for (const one of this.#chosen) {
      const failure = this.#results.get(one.index)?.failure;
      if (failure !== null) console.log(`FAILED  ${nameOf(one)}: ${failure ?? 'was not played'}`);
    }
    console.log(`${String(this.#chosen.length - failed)} passed, ${String(failed)} failed`);
    return failed;
  }

  #print({ group, point }: Numbered, { failure, row }: Result): void {
    if (group !== this.#group) {
      console.log(`\n${group.title} → ${group.outcome}`);
      const heads = [
        'what the first run said'.padEnd(widths.first),
        'the next one'.padEnd(widths.next),
        'digests'.padEnd(widths.digests),
        'leftovers',
      ];
      console.log(`        ${['point'.padEnd(this.#pointWidth), ...heads].join('  ')}`);
    }
    this.#group = group;
    const columns = [
      point.name.padEnd(this.#pointWidth),
      row.first.padEnd(widths.first),
      row.next.padEnd(widths.next),
      row.digests.padEnd(widths.digests),
      row.leftovers,
    ];
    console.log(`${failure === null ? 'passed' : 'FAILED'}  ${columns.join('  ').trimEnd()}`);
    if (failure !== null) console.log(`        ${failure}`);
  }
}

function nameOf(one: Numbered | undefined): string {
  return one === undefined ? 'none' : `${one.group.title}: ${one.point.name}`;
}

function seconds(result: Result | undefined): string {
  return result === undefined ? '0 s' : `${(result.durationMs / 1000).toFixed(1)} s`;
}
