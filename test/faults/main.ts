/**
 * The fault table: everything that may interrupt a replication, each at its own place, and what comes of it.
 *
 *   main.cjs VICTIM [--only TEXT] [--choose N] [--seed S] [--players N]
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { playTogether } from './company';
import { watchCalls } from './groups/killed';
import type { CallsSeen } from './groups/killed';
import { pieces } from './play';
import type { Numbered } from './play';
import { beAPlayer, numbered } from './player';
import { Printer } from './print';
import { Random } from './random';
import { Victims } from './victims';

interface Wishes {
  readonly program: string;
  readonly seed: string;
  readonly only: string;
  readonly choose: number;
  readonly players: number;
}

function wishes(): Wishes {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string', default: '' },
      choose: { type: 'string', default: 'Infinity' },
      seed: { type: 'string', default: '1' },
      players: { type: 'string', default: String(Math.min(8, availableParallelism())) },
    },
  });
  const [program] = positionals;
  const { only, seed, choose, players } = values;
  if (program === undefined) throw new Error('the bundled victim must be named');
  if (!(Number(choose) > 0) || !(Number(players) > 0)) throw new Error('--choose and --players take numbers');
  return { program, seed, only, choose: Number(choose), players: Number(players) };
}

async function callsOf({ program, seed }: Wishes): Promise<CallsSeen> {
  using victims = new Victims(program);
  return await watchCalls(victims, new Random(seed, 'watch'));
}

function chosenOf(all: readonly Numbered[], { only, seed, choose }: Wishes): readonly Numbered[] {
  const named = all.filter(({ group, point }) => `${group.title}: ${point.name}`.includes(only));
  return new Random(seed, 'choice').choose(named, choose);
}

async function main(): Promise<number> {
  const given = wishes();
  const startedMs = performance.now();
  const calls = await callsOf(given);
  const all = numbered(calls);
  const chosen = chosenOf(all, given);
  const printer = new Printer(chosen);
  console.log(`seed ${given.seed}: ${String(chosen.length)} of ${String(all.length)} fault points`);
  const casting = { kind: 'casting', program: given.program, seed: given.seed, calls } as const;
  await playTogether(pieces(chosen), given.players, __filename, casting, (result) => printer.add(result));
  return printer.end((performance.now() - startedMs) / 1000);
}

if (process.argv.includes('--player')) beAPlayer();
else {
  main().then(
    (failed) => {
      process.exitCode = failed === 0 ? 0 : 1;
    },
    (error: unknown) => {
      console.error(error);
      process.exitCode = 1;
    },
  );
}
