/** `xenrepl agent` and what goes with it: schedules kept, promises asserted. */
import { Option } from 'commander';
import type { Command as Commander } from 'commander';
import { nonEmpty } from './arguments';
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
}

export function addAgent(program: Commander, act: Act, examples: Examples): void {
  program
    .command('agent')
    .description('keep the schedules of all jobs of the target pools in the pools file; Ctrl-C ends it')
    .option('--config <file>', 'YAML file with limits, notifications and where metrics are served', nonEmpty)
    .option('--listen <host:port>', 'serve /metrics, /healthz and /readyz there (default: nowhere)', nonEmpty)
    .option('--state <dir>', 'keep history in this folder (default: ~/.local/state/xenrepl)', nonEmpty)
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
    .action(async ({ config, listen, logLevel, state }: OfAgent) =>
      act(async () => {
        const { agent } = await import('./commands/agent.js');
        return (command) =>
          agent(command, { config: config ?? null, listen: listen ?? null, logLevel, state: state ?? null });
      }),
    );
}
