/** What this product promises of itself, measured against its peers on the same simulated pools in the same run. */
import { parts } from './parts';
import type { Bench } from './bench';
import type { Figure } from './measure';
import { help, matches, readOptions, UsageError } from './options';
import type { Options } from './options';
import { Processes } from './processes';
import { thisMachine, writeResult } from './result';
import type { Failure } from './result';
import { markdownTable, roundsText, textTable } from './table';

const names = parts.map(({ name }) => name);
const stopped = 130;

async function main(): Promise<number> {
  let options: Options;
  try {
    options = readOptions(process.argv.slice(2), names);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`bench: ${error.message}\nTry: npm run bench -- --help\n`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(help(names));
    return 0;
  }
  return measure(options);
}

async function measure({ quick, only, json, markdown }: Options): Promise<number> {
  const processes = new Processes();
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // npm passes Ctrl-C on to a process that has had it already: a second signal is nothing unusual.
      if (stop.signal.aborted) {
        processes.kill();
        process.exit(stopped);
      }
      stop.abort();
      void processes.close();
    });
  }
  const machine = thisMachine();
  const startedAt = new Date();
  const rounds = quick ? 1 : 5;
  const seconds = (): number => Math.round((Date.now() - startedAt.getTime()) / 1000);
  const figures: Figure[] = [];
  const failures: Failure[] = [];
  try {
    for (const part of parts) {
      if (stop.signal.aborted || !matches(part.name, only)) continue;
      process.stderr.write(`${String(seconds()).padStart(4)} s  ${part.name}\n`);
      const found = await measured(part.name, () =>
        part.measure({ processes, quick, rounds } satisfies Bench),
      );
      if ('reason' in found) failures.push(found);
      else figures.push(...found);
    }
  } finally {
    await processes.close();
  }
  if (stop.signal.aborted) return stopped;
  const took = seconds();
  writeResult(json, {
    startedAt: startedAt.toISOString(),
    seconds: took,
    quick,
    machine,
    figures,
    failures,
  });
  const load = `load before the start ${String(machine.loadBefore)}`;
  process.stdout.write(markdown ? markdownTable(figures) : textTable(figures));
  process.stdout.write(
    `\n${machine.cpu}, ${String(machine.cores)} cores, ${String(machine.memoryGib)} GiB, node ${machine.node}, ${load}; ` +
      `${quick ? 'quick, ' : ''}${roundsText(figures)}, ${String(took)} s; every measurement: ${json}\n`,
  );
  for (const { part, reason } of failures) process.stderr.write(`NOT MEASURED: ${part}: ${reason}\n`);
  return failures.length === 0 ? 0 : 1;
}

async function measured(
  part: string,
  work: () => Promise<readonly Figure[]>,
): Promise<readonly Figure[] | Failure> {
  try {
    return await work();
  } catch (error) {
    return { part, reason: error instanceof Error ? error.message : String(error) };
  }
}

void main().then((code) => {
  process.exitCode = code;
});
