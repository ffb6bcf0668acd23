/** `xenrepl verify`: whether what would be recovered from is what was protected. */
import { Option } from 'commander';
import type { Command as Commander } from 'commander';
import { addRateOptions, parseSize, rateOf, uuidOf } from './arguments';
import type { OfRate } from './arguments';
import type { VerifyOptions } from './commands/verify';
import type { Load, OfJob } from './syntax';

type Act = (load: Load) => Promise<void>;
type Examples = (...lines: readonly (readonly [string, string])[]) => string;

interface OfVerify extends OfJob, OfRate {
  readonly point?: string;
  readonly allPoints?: true;
  readonly full?: true;
  readonly sampled?: number | true;
}

/** @param jobOptions adds the options that name a job and its VMs */
export function addVerify(
  program: Commander,
  act: Act,
  examples: Examples,
  jobOptions: (command: Commander) => Commander,
): void {
  addRateOptions(
    jobOptions(
      program.command('verify').description('read recovery points back and compare them with the source'),
    ),
  )
    .addOption(
      new Option('--point <uuid>', 'this recovery point (default: the newest of each VM)').argParser(
        onePoint,
      ),
    )
    .addOption(new Option('--all-points', 'all recovery points').conflicts('point'))
    .addOption(new Option('--full', 'every byte (default)').conflicts('sampled'))
    .addOption(
      new Option('--sampled [size]', 'this much of each disk (default: 256MiB)').argParser(parseSize),
    )
    .addHelpText(
      'after',
      examples(
        ['xenrepl verify --target-pool lyon --job nightly', 'every byte of the newest recovery points'],
        [
          'xenrepl verify --target-pool lyon --job nightly --sampled 1GiB',
          'a GiB of each disk: by lot over NBD, else its beginning',
        ],
        [
          'xenrepl verify --target-pool lyon --job nightly --limit 20MiB',
          'no more than 20 MiB of either pool in a second, in place of what the job allows',
        ],
      ) +
        '\n\nCompares with the source snapshot while it is there, else with a digest of the whole disk where one was' +
        '\nrecorded. The result is kept on the recovery point.\n\n' +
        'Exit codes: 0 all equal, 1 failed or nothing to compare with, 2 usage, 6 a recovery point differs',
    )
    .action(async ({ targetPool, job, vm, point, allPoints, sampled, ...limits }: OfVerify) =>
      act(async () => {
        const { verify } = await import('./commands/verify.js');
        const points: VerifyOptions['points'] =
          point !== undefined ? { uuid: point } : allPoints === true ? 'all' : 'newest';
        const sampleBytes = sampled === undefined ? null : sampled === true ? 256 * 1024 ** 2 : sampled;
        const what = { targetPool, job, onlyVms: vm ?? null, points, sampleBytes, rate: rateOf(limits) };
        return (command) => verify(command, what);
      }),
    );
}

function onePoint(text: string): string {
  return uuidOf(text, 'A recovery point is named by its uuid; xenrepl replicas lists them.');
}
