/** `xenrepl agent` and what goes with it: schedules kept, promises asserted. */
import { Option } from 'commander';
import type { Command as Commander } from 'commander';
import { cacheDirOption, nonEmpty, parseDuration } from './arguments';
import { logLevels } from './doors';
import type { LogLevel } from './doors';
import type { Load } from './syntax';

type Act = (load: Load) => Promise<void>;
type Examples = (...lines: readonly (readonly [string, string])[]) => string;

interface OfAgent {
  readonly config?: string;
  readonly listen?: string;
  readonly logLevel: LogLevel;
  readonly state?: string;
  readonly cacheDir?: string;
}

export function addAgent(program: Commander, act: Act, examples: Examples): void {
  const agentCommand = program
    .command('agent')
    .description('keep the schedules of all jobs of the target pools in the pools file; Ctrl-C ends it')
    .option('--config <file>', 'YAML file with limits, notifications and where metrics are served', nonEmpty)
    .option('--listen <host:port>', 'serve /metrics, /healthz and /readyz there (default: nowhere)', nonEmpty)
    .option('--state <dir>', 'keep history in this folder (default: ~/.local/state/xenrepl)', nonEmpty)
    .addOption(cacheDirOption())
    .addOption(
      new Option('--log-level <level>', 'what to log, one line of JSON each')
        .choices(logLevels)
        .default('info'),
    )
    .addHelpText(
      'after',
      examples(
        ['xenrepl agent', 'every job that is enabled, on every pool of the pools file'],
        ['xenrepl agent --listen 127.0.0.1:9464', 'with metrics for Prometheus'],
      ) +
        '\n\nSeveral agents may serve the same pools: locks on the pools decide who runs what, and where one dies another' +
        '\ngoes on.\n\nSIGTERM and Ctrl-C end it within 10 s; what a run has copied is gone on with. SIGHUP reads the pools' +
        '\nfile anew.',
    )
    .action(async ({ config, listen, logLevel, state, cacheDir }: OfAgent) =>
      act(async () => {
        const { agent } = await import('./commands/agent.js');
        const files = { config: config ?? null, state: state ?? null, cacheDir: cacheDir ?? null };
        return (command) => agent(command, { ...files, listen: listen ?? null, logLevel });
      }),
    );
  addInstall(agentCommand, act, examples);
}

interface OfInstall {
  readonly systemd?: true;
  readonly output?: string;
  readonly node: string;
  readonly pools: string;
  readonly agentConfig?: string;
  readonly handOver?: readonly string[];
  readonly serve?: string;
}

function addInstall(agentCommand: Commander, act: Act, examples: Examples): void {
  agentCommand
    .command('install')
    .description('print a systemd unit for the agent: a locked-down service that is handed its credentials')
    .requiredOption('--systemd', 'a unit of systemd, which is the only kind of service there is')
    .option(
      '--output <file>',
      'write it to this file, such as /etc/systemd/system/xenrepl-agent.service',
      nonEmpty,
    )
    .option('--node <path>', 'the Node.js that runs it', nonEmpty, process.execPath)
    .option(
      '--pools <file>',
      'the pools file that the service is handed',
      nonEmpty,
      '/etc/xenrepl/pools.yaml',
    )
    .option('--agent-config <file>', 'the agent.yaml that it is handed', nonEmpty)
    .option(
      '--hand-over <file>',
      'a file that the pools file names, such as a password; may be given several times',
      (file: string, others: readonly string[] | undefined) => [...(others ?? []), nonEmpty(file)],
    )
    .option('--serve <host:port>', 'serve metrics there', nonEmpty)
    .addHelpText(
      'after',
      examples(
        ['xenrepl agent install --systemd', 'print the unit'],
        [
          'xenrepl agent install --systemd --hand-over /etc/xenrepl/lyon.password --serve 127.0.0.1:9464 \\\n      --output /etc/systemd/system/xenrepl-agent.service',
          'write it',
        ],
      ),
    )
    .action(async ({ output, node, pools, handOver, agentConfig, serve }: OfInstall) =>
      act(async () => {
        const { installAgent } = await import('./commands/agent-install.js');
        return (command) =>
          installAgent(command, {
            output: output ?? null,
            node,
            poolsFile: pools,
            credentials: handOver ?? [],
            config: agentConfig ?? null,
            listen: serve ?? null,
          });
      }),
    );
}

interface OfAssert {
  readonly targetPool: string;
  readonly job?: string;
  readonly rpo?: number;
}

/** @param poolOptions adds the options that name a pool and perhaps a job */
export function addAssertRpo(
  program: Commander,
  act: Act,
  examples: Examples,
  poolOptions: (command: Commander, onlyJob: string) => Commander,
): void {
  poolOptions(
    program.command('assert-rpo').description('one line per VM; fails where a recovery point is too old'),
    'only this job',
  )
    .addOption(
      new Option('--rpo <duration>', 'the age to assert, in place of what the jobs promise').argParser(
        parseDuration,
      ),
    )
    .addHelpText(
      'after',
      examples(
        ['xenrepl assert-rpo --target-pool lyon', 'every job that has an RPO'],
        ['xenrepl assert-rpo --target-pool lyon --job nightly --rpo 26h', ''],
      ) + '\n\nExit codes: 0 all kept, 1 failed or nothing to assert, 2 usage, 8 violated',
    )
    .action(async ({ targetPool, job, rpo }: OfAssert) =>
      act(async () => {
        const { assertRpo } = await import('./commands/assert-rpo.js');
        return (command) => assertRpo(command, { targetPool, job: job ?? null, rpoMs: rpo ?? null });
      }),
    );
}
