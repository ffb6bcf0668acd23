/**
 * The fault table: everything that may interrupt a replication, each at its own place, and what comes of it.
 *
 *   main.cjs VICTIM [--only TEXT] [--choice N] [--seed S]
 */
import { parseArgs } from 'node:util';
import { watchCalls } from './groups/killed';
import { play } from './play';
import { printPoint, printTable } from './print';
import { Random } from './random';
import { table } from './table';
import { Victims } from './victims';

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { only: { type: 'string' }, choice: { type: 'string' }, seed: { type: 'string', default: '1' } },
  });
  const [program] = positionals;
  if (program === undefined) throw new Error('the bundled victim must be named');
  const { seed } = values;
  using victims = new Victims(program);
  const groups = table(await watchCalls(victims, new Random(seed, 'watch')));
  const all = groups.flatMap((group) => group.points.map((point) => ({ group, point })));
  const { only } = values;
  const named =
    only === undefined
      ? all
      : all.filter(({ group, point }) => `${group.title}: ${point.name}`.includes(only));
  const count = values.choice === undefined ? named.length : Number(values.choice);
  const chosen = new Random(seed, 'choice').choose(named, count);
  console.log(`seed ${seed}: ${String(chosen.length)} of ${String(all.length)} fault points`);
  const results = await play(chosen, seed, victims, printPoint);
  return printTable(groups, results);
}

main().then(
  (failed) => {
    process.exitCode = failed === 0 ? 0 : 1;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
