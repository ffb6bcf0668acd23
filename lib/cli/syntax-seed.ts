/** `xenrepl seed …`: a first copy that travels by disk or tape instead of by line. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command as Commander } from 'commander';
import { addRateOptions, limitOption, nonEmpty, parseDuration, rateOf } from './arguments';
import type { OfRate } from './arguments';
import type { Load } from './syntax';

type Act = (load: Load) => Promise<void>;
type Examples = (...lines: readonly (readonly [string, string])[]) => string;

const seedExitCodes =
  '\n\nExit codes: 0 done, 1 failed, 2 usage, 3 the seed does not fit (the text says why; nothing was changed), 4 locked';

export function addSeed(program: Commander, act: Act, examples: Examples): void {
  const seed = program
    .command('seed')
    .description('carry the first copy of a VM by hand, so that only deltas travel over the line');
  addExport(seed, act, examples);
  addImport(seed, act, examples);
  addAttach(seed, act, examples);
  addDetach(seed, act, examples);
}

interface ExportArguments {
  readonly sourcePool: string;
  readonly vm?: string;
  readonly snapshot?: string;
  readonly to: string;
  readonly format: 'xva' | 'vhd';
  readonly compress: 'none' | 'gzip';
  readonly limit?: number;
}

function addExport(seed: Commander, act: Act, examples: Examples): void {
  seed
    .command('export')
    .description('write a snapshot of a VM to a folder, with a digest of each block')
    .requiredOption('--source-pool <name>', 'pool the VM is on, by its name in the pools file', nonEmpty)
    .addOption(
      new Option('--vm <uuid>', 'VM to take a snapshot of; the snapshot stays')
        .argParser(parseUuid)
        .conflicts('snapshot'),
    )
    .option('--snapshot <uuid>', 'snapshot that was taken already', parseUuid)
    .requiredOption(
      '--to <dir>',
      'folder for the files; begun again with the same one, an export goes on',
      nonEmpty,
    )
    .addOption(
      new Option('--format <format>', 'one archive, which xe vm-import reads too, or one VHD per disk')
        .choices(['xva', 'vhd'])
        .default('xva'),
    )
    .addOption(
      new Option('--compress <how>', 'compression of the archive').choices(['none', 'gzip']).default('none'),
    )
    .addOption(limitOption('read no faster than that, such as 20MiB a second (default: as fast as it can)'))
    .addHelpText(
      'after',
      examples(
        [
          'xenrepl seed export --source-pool paris --vm 6f7c… --to /media/usb/db1',
          'takes the snapshot as well',
        ],
        [
          'xenrepl seed export --source-pool paris --snapshot 41ab… --to /media/usb/db1 --format vhd',
          'interrupted, it goes on with the disk that was not finished; an archive begins again',
        ],
      ) + seedExitCodes,
    )
    .action(async ({ vm, snapshot, limit, ...rest }: ExportArguments) =>
      act(async () => {
        const { seedExport } = await import('./commands/seed-export.js');
        const of = { vm: vm ?? null, snapshot: snapshot ?? null };
        return (command) => seedExport(command, { ...rest, ...of, bytesPerSecond: limit ?? null });
      }),
    );
}

interface ImportArguments {
  readonly targetPool: string;
  readonly sr: string;
  readonly from?: string;
  readonly disk?: readonly { readonly device: string; readonly path: string }[];
  readonly name?: string;
  readonly limit?: number;
}

function addImport(seed: Commander, act: Act, examples: Examples): void {
  seed
    .command('import')
    .description('bring the files of a seed into an SR, and print the uuid of the VM that they become')
    .requiredOption('--target-pool <name>', 'pool to import to, by its name in the pools file', nonEmpty)
    .requiredOption('--sr <uuid|name>', 'SR of the job, for all disks', nonEmpty)
    .option('--from <path>', 'folder that seed export wrote, or an archive (XVA) of any kind', nonEmpty)
    .option('--disk <device=file>', 'a VHD by itself, for this device position; once per disk', collectDisk)
    .option('--name <name>', 'name of the VM, with --disk', nonEmpty)
    .addOption(limitOption('send no faster than that, such as 20MiB a second (default: as fast as it can)'))
    .addHelpText(
      'after',
      examples(
        ['xenrepl seed import --target-pool lyon --sr vault --from /media/usb/db1', 'checked block by block'],
        ['xenrepl seed import --target-pool lyon --sr vault --from db1.xva.gz', 'as xe vm-export wrote it'],
        [
          'xenrepl seed import --target-pool lyon --sr vault --name db1 --disk 0=root.vhd --disk 1=data.vhd',
          'as qemu-img -O vpc wrote them',
        ],
      ) +
        '\n\nThe VM is halted and its start is blocked until it is attached to a job. Interrupted, the same command goes on.' +
        seedExitCodes,
    )
    .action(async ({ targetPool, sr, from, disk, name, limit }: ImportArguments) =>
      act(async () => {
        const { seedImport } = await import('./commands/seed-import.js');
        return (command) =>
          seedImport(command, {
            targetPool,
            sr,
            from: from ?? null,
            disks: disk ?? [],
            name: name ?? null,
            bytesPerSecond: limit ?? null,
          });
      }),
    );
}

interface AttachArguments extends OfRate {
  readonly targetPool: string;
  readonly job: string;
  readonly snapshot: string;
  readonly targetVm: string;
  readonly verify: 'none' | 'sampled' | 'full';
  readonly repair?: boolean;
  readonly digests?: string;
  readonly lockWait: number;
}

function addAttach(seed: Commander, act: Act, examples: Examples): void {
  addRateOptions(
    seed
      .command('attach')
      .description('make an imported VM the replica of a snapshot: the next run of the job sends a delta'),
  )
    .requiredOption(
      '--target-pool <name>',
      'pool that holds job and VM, by its name in the pools file',
      nonEmpty,
    )
    .requiredOption('--job <id|name>', 'job, by its id or by its name', nonEmpty)
    .requiredOption('--snapshot <uuid>', 'snapshot on the source that the seed was made of', parseUuid)
    .requiredOption('--target-vm <uuid>', 'VM that the import made', parseUuid)
    .addOption(
      new Option(
        '--verify <how>',
        'compare the content: all of it, the first 256 MiB of data of each disk, or nothing',
      )
        .choices(['none', 'sampled', 'full'])
        .default('sampled'),
    )
    .option('--repair', 'compare all of it, and send the blocks that differ')
    .option(
      '--digests <dir>',
      'folder that seed export wrote: its digests are compared with, and the source is not read',
      nonEmpty,
    )
    .addOption(
      new Option('--lock-wait <duration>', 'how long to wait for a run of the same VM')
        .argParser(parseDuration)
        .default(150_000, '150s'),
    )
    .addHelpText(
      'after',
      examples(
        ['xenrepl seed attach --target-pool lyon --job nightly --snapshot 41ab… --target-vm 9c0d…', ''],
        [
          'xenrepl seed attach … --verify full --digests /media/usb/db1',
          'reads the target only: nothing but keys goes over the line',
        ],
      ) + seedExitCodes,
    )
    .action(async ({ repair, digests, lockWait, limit, limits, ...rest }: AttachArguments) =>
      act(async () => {
        const { seedAttach } = await import('./commands/seed-attach.js');
        return (command) =>
          seedAttach(command, {
            ...rest,
            repair: repair === true,
            digests: digests ?? null,
            lockWaitMs: lockWait,
            rate: rateOf(limit === undefined ? { limits } : { limit, limits }),
          });
      }),
    );
}

interface DetachArguments {
  readonly targetPool: string;
  readonly targetVm: string;
  readonly sourcePool?: string;
}

function addDetach(seed: Commander, act: Act, examples: Examples): void {
  seed
    .command('detach')
    .description('take the marks of an attached seed off again, as long as no run has gone on with it')
    .requiredOption('--target-pool <name>', 'pool the VM is on, by its name in the pools file', nonEmpty)
    .requiredOption('--target-vm <uuid>', 'VM that was attached', parseUuid)
    .option(
      '--source-pool <name>',
      'take the marks off its snapshot too (left out where that pool is gone)',
      nonEmpty,
    )
    .addHelpText(
      'after',
      examples(['xenrepl seed detach --target-pool lyon --target-vm 9c0d… --source-pool paris', '']) +
        '\n\nThe VM keeps its content and may be started afterwards.' +
        seedExitCodes,
    )
    .action(async ({ targetPool, targetVm, sourcePool }: DetachArguments) =>
      act(async () => {
        const { seedDetach } = await import('./commands/seed-detach.js');
        return (command) => seedDetach(command, { targetPool, targetVm, sourcePool: sourcePool ?? null });
      }),
    );
}

function parseUuid(text: string): string {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError('Give a uuid; xe vm-list and xe snapshot-list show them.');
}

type DiskArgument = NonNullable<ImportArguments['disk']>[number];

function collectDisk(text: string, previous: readonly DiskArgument[] | undefined): readonly DiskArgument[] {
  const [, device, path] = /^(\d{1,2})=(.+)$/.exec(text) ?? [];
  if (device === undefined || path === undefined) {
    throw new InvalidArgumentError('Write the device position and the file, such as 0=root.vhd.');
  }
  const all = previous ?? [];
  if (all.some((disk) => disk.device === device)) {
    throw new InvalidArgumentError(`Device ${device} is named twice.`);
  }
  return [...all, { device: String(Number(device)), path }];
}
