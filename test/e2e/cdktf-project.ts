import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const repository = resolve(__dirname, '..', '..');
const cdktf = join(repository, 'node_modules', 'cdktf-cli', 'bundle', 'bin', 'cdktf');
const commandTimeoutMs = 150_000;

/** What a command printed, both streams in the order they came, and how it ended. */
export interface Finished {
  readonly status: number | null;
  readonly output: string;
}

/**
 * The project of a user in a folder of its own: the built package and its peers in node_modules, an app in JavaScript,
 * and an environment as on a machine that has never seen the provider and reaches no network.
 */
export class CdktfProject {
  readonly folder: string;

  /** @param app the app, as `app.js`; it may require what a user's app may require */
  constructor(app: string) {
    if (!existsSync(join(repository, 'dist', 'bundle', 'provider.cjs'))) {
      throw new Error('The end-to-end tests need the built package: npm run build');
    }
    this.folder = realpathSync(mkdtempSync(join(tmpdir(), 'cdktf-project-')));
    for (const name of ['cdktf', 'constructs', '@cdktf/provider-null']) {
      this.#link(join('node_modules', name), join(repository, 'node_modules', name));
    }
    this.#link(join('node_modules', 'cdktf-xen-replication'), repository);
    this.write('app.js', app);
    this.write(
      'cdktf.json',
      JSON.stringify({ language: 'typescript', app: 'node app.js', sendCrashReports: 'false' }),
    );
    this.write('empty.tfrc', '');
  }

  stackFolder(stack: string): string {
    return join(this.folder, 'cdktf.out', 'stacks', stack);
  }

  write(name: string, text: string): void {
    mkdirSync(dirname(join(this.folder, name)), { recursive: true });
    writeFileSync(join(this.folder, name), text);
  }

  read(name: string): string {
    return readFileSync(join(this.folder, name), 'utf8');
  }

  /** The cdktf of the user, e.g. `cdktf('deploy', '--auto-approve')`. */
  cdktf(...args: string[]): Promise<Finished> {
    return this.#run(process.execPath, [cdktf, ...args], this.folder);
  }

  /** Terraform in the folder of a stack, where cdktf runs it. */
  terraform(stack: string, ...args: string[]): Promise<Finished> {
    return this.#run('terraform', args, this.stackFolder(stack));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #link(name: string, target: string): void {
    mkdirSync(dirname(join(this.folder, name)), { recursive: true });
    symlinkSync(target, join(this.folder, name));
  }

  /** Every proxy setting leads to a port that nobody listens on, so a call over the network fails at once. */
  #environment(): NodeJS.ProcessEnv {
    return {
      PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
      HOME: this.folder,
      TF_CLI_CONFIG_FILE: join(this.folder, 'empty.tfrc'),
      CDKTF_DISABLE_PLUGIN_CACHE_ENV: 'true',
      CHECKPOINT_DISABLE: '1',
      CI: '1',
      HTTP_PROXY: 'http://127.0.0.1:9',
      HTTPS_PROXY: 'http://127.0.0.1:9',
    };
  }

  #run(command: string, args: string[], cwd: string): Promise<Finished> {
    return new Promise((done, failed) => {
      const child = spawn(command, args, { cwd, env: this.#environment(), timeout: commandTimeoutMs });
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
}
