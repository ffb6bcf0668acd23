/** The command line as a whole: commands, options, help. What they do stands in commands/, loaded when called. */
import { Command as Commander, Option } from 'commander';
import { cacheDirOption, collectUuid, nonEmpty, parseDuration } from './arguments';
import type { LongCommand } from './command';
import { exitCodeHelp } from './exit-codes';
import { addSeed } from './syntax-seed';
import { addVerify } from './syntax-verify';
import { addAgent, addAssertRpo } from './syntax-agent';
import { version } from './version';

/** Loads a command and answers what runs it. */
export type Load = () => Promise<(command: LongCommand) => Promise<number>>;

export interface Syntax {
  readonly writeOut: (text: string) => void;
  readonly writeErr: (text: string) => void;
  /** Called with the command that was chosen. */
  readonly perform: (load: Load, globals: GlobalOptions) => Promise<void>;
}

export interface GlobalOptions {
  readonly poolsFile?: string;
}

export interface OfJob {
  readonly targetPool: string;
  readonly job: string;
  readonly vm?: readonly string[];
}

interface OfPool {
  readonly targetPool: string;
  readonly job?: string;
}

/** Parsing throws CommanderError instead of ending the process. */
export function buildProgram(syntax: Syntax): Commander {
  const program = new Commander('xenrepl')
    .description('Replicates virtual machines between XenServer and XCP-ng pools, and tells how that stands.')
    .version(version)
    .option('--pools-file <file>', 'where pools and credentials stand (default: see below)', nonEmpty)
    .option('--json', 'one JSON value per line on stdout, errors included')
    .option('--debug', 'with an error, print where in the program it arose')
    .exitOverride()
    .configureOutput({
      writeOut: syntax.writeOut,
      writeErr: syntax.writeErr,
      // Errors are printed by the program, which also knows the form for --json.
      outputError: () => undefined,
    })
    .configureHelp({ showGlobalOptions: true, helpWidth: 100 })
    .addHelpText('after', `\n${poolsFileHelp}\n\n${exitCodeHelp}`);
  const act: Act = (load) => syntax.perform(load, program.opts<GlobalOptions>());
  addRun(program, act);
  addPlan(program, act);
  addStatus(program, act);
  addJobs(program, act);
  addReplicas(program, act);
  addSeed(program, act, examples);
  addVerify(program, act, examples, jobOptions);
  addAgent(program, act, examples);
  addAssertRpo(program, act, examples, poolOptions);
  addSimulate(program, act);
  addProvider(program, act);
  return program;
}

interface OfRun extends OfJob {
  readonly lockWait: number;
  readonly cacheDir?: string;
}

type Act = (load: Load) => Promise<void>;

function addRun(program: Commander, act: Act): void {
  jobOptions(program.command('run').description('run a job now: every VM gets a new recovery point'))
    .addOption(
      new Option(
        '--lock-wait <duration>',
        'how long to wait for another run of the same VM; a dead one lets go within 120s',
      )
        .argParser(parseDuration)
        .default(150_000, '150s'),
    )
    .addOption(cacheDirOption())
    .addHelpText(
      'after',
      examples(
        ['xenrepl run --target-pool lyon --job nightly', 'all VMs of the job, with progress'],
        ['xenrepl run --target-pool lyon --job nightly --vm 6f7c…', 'one of them'],
        ['xenrepl run --target-pool lyon --job nightly --json', 'one event per line, the report last'],
      ) + `\n\n${exitCodeHelp}`,
    )
    .action(async ({ targetPool, job, vm, lockWait, cacheDir }: OfRun) =>
      act(async () => {
        const { run } = await import('./commands/run.js');
        const options = { targetPool, job, onlyVms: vm ?? null, lockWaitMs: lockWait };
        return (command) => run(command, { ...options, cacheDir: cacheDir ?? null });
      }),
    );
}

function addPlan(program: Commander, act: Act): void {
  jobOptions(program.command('plan').description('print what a run would do now, and do nothing'))
    .addHelpText(
      'after',
      examples(
        ['xenrepl plan --target-pool lyon --job nightly', 'step by step, or why it is refused'],
        ['xenrepl plan --target-pool lyon --job nightly --json', 'the plans as data'],
      ) +
        '\n\nExit codes: 0 a run can do it, 1 failed or a VM is gone, 2 usage, 3 a conflict needs a decision,\n7 it would be put off',
    )
    .action(async ({ targetPool, job, vm }: OfJob) =>
      act(async () => {
        const { plan } = await import('./commands/plan.js');
        return (command) => plan(command, { targetPool, job, onlyVms: vm ?? null });
      }),
    );
}

function addStatus(program: Commander, act: Act): void {
  poolOptions(
    program.command('status').description('how old the newest recovery points are, and who runs what'),
    'only this job',
  )
    .option(
      '--agent-state <dir>',
      'history of an agent on this machine (default: where it keeps it)',
      nonEmpty,
    )
    .addHelpText(
      'after',
      examples(
        ['xenrepl status --target-pool lyon', 'all jobs'],
        [
          `xenrepl status --target-pool lyon --json | jq '.jobs[].vms[] | select(.ageMs > 3600000)'`,
          'VMs whose newest recovery point is older than an hour',
        ],
      ) + sourceIsNotAsked,
    )
    .action(async ({ targetPool, job, agentState }: OfPool & { readonly agentState?: string }) =>
      act(async () => {
        const { status } = await import('./commands/status.js');
        return (command) => status(command, { targetPool, job: job ?? null, agentState: agentState ?? null });
      }),
    );
}

function addJobs(program: Commander, act: Act): void {
  poolOption(program.command('jobs').description('list the jobs that are defined on a target pool'))
    .addHelpText('after', examples(['xenrepl jobs --target-pool lyon', '']) + sourceIsNotAsked)
    .action(async ({ targetPool }: OfPool) =>
      act(async () => {
        const { jobs } = await import('./commands/jobs.js');
        return (command) => jobs(command, { targetPool });
      }),
    );
}

function addReplicas(program: Commander, act: Act): void {
  poolOptions(
    program.command('replicas').description('list replicas with their recovery points'),
    'only those of this job; a deleted one is named by its id',
  )
    .addHelpText(
      'after',
      examples(
        ['xenrepl replicas --target-pool lyon', 'those of deleted jobs too'],
        ['xenrepl replicas --target-pool lyon --job nightly --json', 'with every disk'],
      ) + sourceIsNotAsked,
    )
    .action(async ({ targetPool, job }: OfPool) =>
      act(async () => {
        const { replicas } = await import('./commands/replicas.js');
        return (command) => replicas(command, { targetPool, job: job ?? null });
      }),
    );
}

function addSimulate(program: Commander, act: Act): void {
  program
    .command('simulate')
    .description('start simulated pools, for trying things out and for tests; Ctrl-C ends them')
    .requiredOption('--spec <file>', 'YAML file with the pools: hosts, SRs, networks, VMs', nonEmpty)
    .option(
      '--state <dir>',
      'keep disks in this folder (default: a temporary one, removed at the end)',
      nonEmpty,
    )
    .option(
      '--write-pools-file <file>',
      'write a pools file for these pools, ready for --pools-file',
      nonEmpty,
    )
    .addHelpText(
      'after',
      examples(
        [
          'xenrepl simulate --spec spec.yaml',
          'prints one line of JSON with URLs and fingerprints when ready',
        ],
        ['xenrepl simulate --spec spec.yaml --write-pools-file xenrepl.yaml', ''],
      ) + `\n\n${specHelp}`,
    )
    .action(
      async (options: { readonly spec: string; readonly state?: string; readonly writePoolsFile?: string }) =>
        act(async () => {
          const { simulate } = await import('./commands/simulate.js');
          const { spec, state, writePoolsFile } = options;
          return (command) =>
            simulate(command, { spec, state: state ?? null, writePoolsFile: writePoolsFile ?? null });
        }),
    );
}

function addProvider(program: Commander, act: Act): void {
  const provider = program
    .command('provider')
    .description('the Terraform provider, for configurations written in plain HCL');
  provider
    .command('install')
    .description('put the provider where "terraform init" finds it, and print the block that requires it')
    .argument('[dir]', 'folder of the Terraform configuration', nonEmpty, '.')
    .addHelpText(
      'after',
      examples(
        ['xenrepl provider install', 'into terraform.d/plugins of this folder'],
        ['xenrepl provider install infra > infra/xenrepl.tf', 'and keep the block'],
      ),
    )
    .action(async (folder: string) =>
      act(async () => {
        const { installProvider } = await import('./commands/provider-install.js');
        return (command) => installProvider(command, { folder });
      }),
    );
}

function poolOption(command: Commander): Commander {
  return command.requiredOption(
    '--target-pool <name>',
    'pool that holds jobs and replicas, by its name in the pools file',
    nonEmpty,
  );
}

function poolOptions(command: Commander, onlyJob: string): Commander {
  return poolOption(command).option('--job <id|name>', onlyJob, nonEmpty);
}

function jobOptions(command: Commander): Commander {
  return poolOption(command)
    .requiredOption('--job <id|name>', 'job, by its id or by its name', nonEmpty)
    .option('--vm <uuid>', 'only this VM of the job; may be given several times', collectUuid);
}

function examples(...lines: readonly (readonly [string, string])[]): string {
  return `\nExamples:${lines.map(([line, what]) => `\n  ${line}${what === '' ? '' : `\n      ${what}`}`).join('')}`;
}

const sourceIsNotAsked = '\n\nThe source pool is not contacted: this works when it is lost.';

const poolsFileHelp = `Pools file:
  Looked for in this order: --pools-file, XENREPL_POOLS_FILE, the nearest xenrepl.yaml upwards from here,
  ~/.config/xenrepl/pools.yaml. Only you may be able to read it (chmod 600).

    pools:
      lyon:
        url: https://10.2.0.1
        username: root
        password_file: lyon.password      # or password_env: NAME
        fingerprints: ["AA:BB:…"]         # SHA-256, one per host; or ca_file: ca.pem`;

const specHelp = `Specification:
    pools:
      - name: paris
        hosts: [{ name: paris-1 }]
        srs: [{ name: local, type: ext, sizeBytes: 68719476736, default: true }]
        networks: [{ name: lan }]      # [{ name: lan, purpose: nbd }]: its disks can be read over NBD
        vms:
          - name: db1
            disks: [{ device: 0, sizeBytes: 1073741824, sr: local }]
            vifs: [{ network: lan }]`;
