import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProviderServer } from '../../../lib/provider/framework';
import type { Provider } from '../../../lib/provider/framework';
import { listen } from '../../../lib/provider/plugin/listener';

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder with a configuration, and the real terraform run in it, isolated from the user's settings. */
export class Workspace implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'xenrepl-terraform-'));

  constructor() {
    writeFileSync(join(this.folder, 'empty.tfrc'), '');
  }

  write(name: string, content: string): string {
    const file = join(this.folder, name);
    writeFileSync(file, content, { mode: 0o600 });
    return file;
  }

  /** Runs a command to its end; colours and questions off. */
  async run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Result> {
    const child = this.start(args, env);
    let [stdout, stderr] = ['', ''];
    child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject).once('close', resolve);
    });
    return { code, stdout, stderr };
  }

  start(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    return spawn('terraform', args, {
      cwd: this.folder,
      env: {
        PATH: process.env['PATH'],
        HOME: this.folder,
        TMPDIR: this.folder,
        CHECKPOINT_DISABLE: '1',
        TF_CLI_CONFIG_FILE: join(this.folder, 'empty.tfrc'),
        TF_IN_AUTOMATION: '1',
        TF_CLI_ARGS: '-no-color',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** The state file as text: what a thief would find. */
  stateText(): string {
    return readFileSync(join(this.folder, 'terraform.tfstate'), 'utf8');
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/**
 * Runs terraform against a provider inside this process, over a plain socket (reattach). Each command gets a server of
 * its own, as each would get a process of its own.
 */
export async function runAttached<Configured>(
  workspace: Workspace,
  address: string,
  provider: Provider<Configured>,
  ...args: readonly string[]
): Promise<Result> {
  const ignore = () => undefined;
  const server = new ProviderServer(provider);
  const events = { onConnect: ignore, onShutdown: ignore, onDisconnect: ignore };
  const listener = await listen(server, null, events);
  const reattach = {
    Protocol: 'grpc',
    ProtocolVersion: 6,
    Pid: process.pid,
    Test: true,
    Addr: { Network: 'unix', String: listener.socketPath },
  };
  try {
    return await workspace.run(args, { TF_REATTACH_PROVIDERS: JSON.stringify({ [address]: reattach }) });
  } finally {
    listener.close();
    await server.close();
  }
}
