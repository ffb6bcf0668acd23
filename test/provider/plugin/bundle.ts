import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

const root = join(__dirname, '..', '..', '..');

/** The provider as it is delivered, built from the sources as they are now. */
export class Bundle implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'xenrepl-bundle-'));
  readonly file = join(this.#folder, 'provider.cjs');

  static async build(): Promise<Bundle> {
    const bundle = new Bundle();
    const build = spawn(process.execPath, [join(root, 'scripts', 'bundle-provider.mjs'), bundle.file], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const [code] = (await once(build, 'close')) as [number | null];
    if (code !== 0) throw new Error(`bundling the provider failed with exit code ${String(code)}`);
    return bundle;
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** What Terraform sets for every plugin. */
export const pluginEnvironment = {
  TF_PLUGIN_MAGIC_COOKIE: 'd602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2',
  PLUGIN_PROTOCOL_VERSIONS: '5,6',
  PLUGIN_MIN_PORT: '10000',
  PLUGIN_MAX_PORT: '25000',
};

/** A running provider process, with a temporary folder of its own. */
export class ProviderProcess implements AsyncDisposable {
  readonly tmp = mkdtempSync(join(tmpdir(), 'xenrepl-process-'));
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly stdout: string[] = [];
  stderr = '';
  readonly #closed: Promise<[number | null, NodeJS.Signals | null]>;
  readonly #firstLine: Promise<string>;

  constructor(file: string, env: NodeJS.ProcessEnv, args: readonly string[] = []) {
    this.child = spawn(process.execPath, [file, ...args], {
      env: { PATH: process.env['PATH'], TMPDIR: this.tmp, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#closed = once(this.child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    const lines = createInterface({ input: this.child.stdout });
    lines.on('line', (line) => this.stdout.push(line));
    this.#firstLine = once(lines, 'line').then(([line]) => String(line));
    this.child.stderr.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
  }

  /** The first line on stdout. */
  firstLine(): Promise<string> {
    return this.#firstLine;
  }

  /** Exit code and signal. */
  exit(): Promise<[number | null, NodeJS.Signals | null]> {
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#closed;
    rmSync(this.tmp, { recursive: true, force: true });
  }
}
