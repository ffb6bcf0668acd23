/** Processes that die. One is always started ahead, so that a point does not wait for Node to come up. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { JobDefinition } from '../../lib/planner/job';
import type { SimulatedPool } from '../../lib/simulator';
import { limits } from './stage';
import type { Stage } from './stage';
import type { VictimEndpoint, VictimInput, VictimOutput } from './victim';

/** A victim that neither dies nor ends within this time is hung, which is a defect. */
const lifeMaxMs = 60_000;

export interface Death {
  readonly killed: boolean;
  readonly output: VictimOutput | null;
}

export class Victim {
  readonly #process: ChildProcess;
  readonly ended: Promise<Death>;

  constructor(child: ChildProcess, input: VictimInput) {
    this.#process = child;
    this.ended = new Promise((resolve, reject) => {
      let output: VictimOutput | null = null;
      const timer = setTimeout(() => child.kill('SIGKILL'), lifeMaxMs);
      child.once('error', reject);
      child.once('message', (message) => {
        output = message as VictimOutput;
      });
      child.once('close', (_code, signal) => {
        clearTimeout(timer);
        resolve({ killed: signal === 'SIGKILL', output });
      });
    });
    child.send(input);
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }
}

export class Victims implements Disposable {
  readonly #program: string;
  #spare: ChildProcess | null = null;

  /** @param program the bundled `victim.ts` */
  constructor(program: string) {
    this.#program = program;
  }

  start(
    stage: Stage,
    death: VictimInput['death'],
    work: VictimInput['work'] = 'run',
    job: JobDefinition = stage.job,
  ): Victim {
    const child = this.#spare ?? this.#fork();
    this.#spare = this.#fork();
    const { source, target } = stage.site;
    const input = {
      work,
      source: reach(source),
      target: reach(target),
      job,
      run: randomUUID(),
      limits,
      cacheDir: stage.cacheDir,
      death,
    };
    const victim = new Victim(child, input);
    void victim.ended.then(({ killed, output }) => {
      if (killed) stage.trace.died();
      else if (output?.report) stage.trace.reported(output.report);
    });
    return victim;
  }

  #fork(): ChildProcess {
    return fork(this.#program, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [] });
  }

  [Symbol.dispose](): void {
    this.#spare?.kill('SIGKILL');
    this.#spare = null;
  }
}

function reach(pool: SimulatedPool): VictimEndpoint {
  const { name, url, username, password, hosts } = pool;
  return { name, url, username, password, fingerprints: hosts.map(({ fingerprint }) => fingerprint) };
}
