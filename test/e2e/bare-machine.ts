import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';

const commandTimeoutMs = 150_000;

/** Name of a file without any setting, below the home folder, which Terraform takes for its CLI configuration. */
export const emptyCliConfiguration = 'empty.tfrc';

/** What a command printed, both streams in the order they came and without colours, and how it ended. */
export interface Finished {
  readonly status: number | null;
  readonly output: string;
}

/**
 * The environment of a machine that has never seen the provider and reaches no network: every proxy setting leads to a
 * port that nobody listens on, so a call over the network fails at once.
 */
export function environmentOf(home: string): NodeJS.ProcessEnv {
  return {
    PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
    HOME: home,
    TF_CLI_CONFIG_FILE: join(home, emptyCliConfiguration),
    CDKTF_DISABLE_PLUGIN_CACHE_ENV: 'true',
    CHECKPOINT_DISABLE: '1',
    CI: '1',
    HTTP_PROXY: 'http://127.0.0.1:9',
    HTTPS_PROXY: 'http://127.0.0.1:9',
  };
}

/** Runs a command to its end, at most 150 s. */
export function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<Finished> {
  return new Promise((done, failed) => {
    const child = spawn(command, args, { cwd, env, timeout: commandTimeoutMs });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', failed);
    child.on('close', (status) => {
      const colours = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');
      done({ status, output: Buffer.concat(chunks).toString('utf8').replace(colours, '') });
    });
  });
}
