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
import { emptyCliConfiguration, environmentOf, run } from './bare-machine';
import type { Finished } from './bare-machine';

const repository = resolve(__dirname, '..', '..');
const cdktf = join(repository, 'node_modules', 'cdktf-cli', 'bundle', 'bin', 'cdktf');

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
    this.write(emptyCliConfiguration, '');
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
    return run(process.execPath, [cdktf, ...args], this.folder, environmentOf(this.folder));
  }

  /** Terraform in the folder of a stack, where cdktf runs it. */
  terraform(stack: string, ...args: string[]): Promise<Finished> {
    return run('terraform', args, this.stackFolder(stack), environmentOf(this.folder));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #link(name: string, target: string): void {
    mkdirSync(dirname(join(this.folder, name)), { recursive: true });
    symlinkSync(target, join(this.folder, name));
  }
}
