/** One `xenrepl agent` process of the demo, read by its log. */
import { join } from 'node:path';
import { startProgram } from './programs';
import type { Program } from './programs';
import type { Story } from './story';

interface LogLine {
  readonly event?: string;
  readonly url?: string;
  readonly cause?: string;
  readonly outcome?: string;
  readonly text?: string;
  readonly reason?: string;
  readonly vms?: readonly {
    readonly sentBytes: number;
    readonly durationMs: number;
    readonly copy?: string;
  }[];
}

/** Longer than this nothing in the demo takes. */
const patienceMs = 60_000;

export class DemoAgent {
  readonly name: string;
  url = '';
  replicated = 0;
  starts = 0;
  readonly #program: Program;
  readonly #story: Story;
  readonly #counts = new Map<string, number>();
  readonly #watchers = new Set<(line: LogLine) => void>();

  constructor(name: string, cli: string, folder: string, story: Story) {
    this.name = name;
    this.#story = story;
    const options = ['--config', 'agent.yaml', '--listen', '127.0.0.1:0', '--log-level', 'debug'];
    const state = join(folder, name.replace(' ', '-'));
    this.#program = startProgram(process.execPath, [cli, 'agent', ...options, '--state', state], {
      cwd: folder,
      env: { XENREPL_POOLS_FILE: join(folder, 'xenrepl.yaml') },
      onLine: (line) => this.#take(JSON.parse(line) as LogLine),
    });
  }

  get pid(): number {
    return this.#program.pid;
  }

  get ended(): Promise<number | null> {
    return this.#program.ended;
  }

  kill(): void {
    this.#program.kill('SIGKILL');
  }

  stop(): void {
    this.#program.kill('SIGTERM');
  }

  /** Whether the agent answers that it is ready, within the demo's patience. */
  async ready(): Promise<boolean> {
    if (this.url === '') await this.#seen(({ event }) => event === 'listening');
    const untilMs = performance.now() + patienceMs;
    while (performance.now() < untilMs) {
      if ((await fetch(`${this.url}/readyz`)).status === 200) return true;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return false;
  }

  async page(path: string): Promise<string> {
    return (await fetch(`${this.url}${path}`)).text();
  }

  /** Resolves with this agent as soon as it copies a disk. */
  async copying(): Promise<this> {
    await this.#seen(({ event }) => event === 'disk-opened');
    return this;
  }

  async nextStart(): Promise<string> {
    const { cause } = await this.#seen(({ event }) => event === 'run-starting');
    return cause ?? 'none';
  }

  async nextPoint(): Promise<void> {
    await this.#seen(({ event, outcome }) => event === 'run-ended' && outcome === 'replicated');
  }

  told(event: string): number {
    return this.#counts.get(event) ?? 0;
  }

  async tells(event: string): Promise<boolean> {
    if (this.told(event) === 0) await this.#seen((line) => line.event === event);
    return true;
  }

  #take(line: LogLine): void {
    const { event = '' } = line;
    this.#counts.set(event, this.told(event) + 1);
    if (event === 'listening') this.url = line.url ?? '';
    if (event === 'run-starting') this.starts += 1;
    if (event === 'run-ended' && line.outcome === 'replicated') this.replicated += 1;
    const words = wordsFor(line);
    if (words !== null) this.#story.say(`   | ${this.name}: ${words}`);
    for (const watcher of [...this.#watchers]) watcher(line);
  }

  #seen(wanted: (line: LogLine) => boolean): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#watchers.delete(watcher);
        reject(
          new Error(`${this.name} did not do what the demo waits for within ${String(patienceMs / 1000)} s`),
        );
      }, patienceMs);
      const watcher = (line: LogLine): void => {
        if (!wanted(line)) return;
        clearTimeout(timer);
        this.#watchers.delete(watcher);
        resolve(line);
      };
      // Of an agent that is killed nothing more is heard: waiting for it must not keep the demo alive.
      timer.unref();
      this.#watchers.add(watcher);
    });
  }
}

/** What of the log is worth a line of the story. */
function wordsFor({ event, cause, outcome, vms, reason, text }: LogLine): string | null {
  switch (event) {
    case 'run-starting':
      return cause === 'schedule' ? null : `run starts (${cause ?? ''})`;
    case 'run-ended': {
      const [vm] = vms ?? [];
      const sent = vm === undefined ? '' : `, ${(vm.sentBytes / 1024).toFixed(0)} KiB sent`;
      return `run ended: ${outcome ?? ''} (${vm?.copy ?? 'none'}${sent})`;
    }
    case 'skipped':
      return `put off: ${text ?? ''} (${reason ?? ''})`;
    case 'violation-began':
      return 'RPO violated';
    case 'violation-ended':
      return 'RPO kept again';
    default:
      return null;
  }
}
