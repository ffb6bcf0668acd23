/** A CDKTF app of this repository, deployed from the demo's own folder, so that its state and output stay there. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { run } from './programs';
import type { Ran } from './programs';
import { writePoolsFile } from './site';
import type { DemoPool } from './site';
import type { Story } from './story';

const repository = resolve(__dirname, '..', '..');
/** The command line as users get it. */
export const cli = join(repository, 'dist', 'bundle', 'xenrepl.cjs');

export class Deployment {
  readonly environment: NodeJS.ProcessEnv;
  readonly #story: Story;
  readonly #folder: string;
  readonly #stackName: string;

  /** @param app the app's module below `dist` */
  constructor(story: Story, folder: string, pools: readonly DemoPool[], app: string, stackName: string) {
    this.#story = story;
    this.#folder = folder;
    this.#stackName = stackName;
    const settings = JSON.parse(readFileSync(join(repository, 'cdktf.json'), 'utf8')) as object;
    const command = `"${process.execPath}" "${join(repository, 'dist', app)}"`;
    writeFileSync(join(folder, 'cdktf.json'), JSON.stringify({ ...settings, app: command }));
    const emptyConfiguration = join(folder, 'terraform.rc');
    writeFileSync(emptyConfiguration, '');
    this.environment = {
      XENREPL_POOLS_FILE: writePoolsFile(folder, pools),
      XENREPL_AIR_GAPPED: 'true',
      XENREPL_NETWORK_MAP: JSON.stringify({ office: 'dr' }),
      CDKTF_DISABLE_PLUGIN_CACHE_ENV: 'true',
      TF_CLI_CONFIG_FILE: emptyConfiguration,
      CHECKPOINT_DISABLE: '1',
      FORCE_COLOR: '0',
    };
  }

  /** @param settings of the app, as environment variables */
  cdktf(args: readonly string[], settings: Readonly<Record<string, string>>): Promise<Ran> {
    const bin = createRequire(__filename).resolve('cdktf-cli/bundle/bin/cdktf');
    return this.#show(process.execPath, [bin, ...args], settings);
  }

  /** The command line, where the app is. */
  xenrepl(args: readonly string[]): Promise<Ran> {
    this.#story.say(`   $ xenrepl ${args.map((arg) => (arg.includes(' ') ? `'${arg}'` : arg)).join(' ')}`);
    return this.#show(process.execPath, [cli, ...args], {});
  }

  /** Records whether Terraform, asked by itself, has nothing to do. */
  async checkCleanPlan(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const plan = await run('terraform', ['plan', '-detailed-exitcode', '-input=false', '-no-color'], {
      cwd: join(this.#folder, 'cdktf.out', 'stacks', this.#stackName),
      env: { ...this.environment, ...settings },
    });
    if (plan.exitCode !== 0) this.#story.say(plan.output);
    this.#story.check(
      'terraform plan -detailed-exitcode',
      plan.exitCode === 0,
      `exit code ${String(plan.exitCode)}`,
    );
  }

  /** The state as text. */
  state(): string {
    return readFileSync(join(this.#folder, `${this.#stackName}.tfstate`), 'utf8');
  }

  #show(command: string, args: readonly string[], settings: Readonly<Record<string, string>>): Promise<Ran> {
    return run(command, args, {
      cwd: this.#folder,
      env: { ...this.environment, ...settings },
      show: (line) => {
        const text = plain(line);
        if (text !== '') this.#story.say(`   | ${text}`);
      },
    });
  }
}

/** Without the colours, the wheel and the counter that cdktf redraws below its output: on paper they are noise. */
function plain(line: string): string {
  const text = stripVTControlCharacters(line).trimEnd();
  return /^[\u2800-\u28ff] |^\d+ Stacks? (deploying|destroying)/.test(text) ? '' : text;
}
