/**
 * A run in a process of its own, which kills itself with SIGKILL at a named moment: no `finally`, no clean-up, no
 * closing of sockets by us. Reads one JSON document from standard input.
 */
import { readFileSync } from 'node:fs';
import { runJob, systemClock } from '../../../lib/engine';
import type { RunEvent } from '../../../lib/engine';
import type { SegmentLimits } from '../../../lib/engine/data/write-segments';
import type { JobDefinition } from '../../../lib/planner/job';
import { Pool } from '../../../lib/xapi';

export interface EndpointData {
  readonly name: string;
  readonly url: string;
  readonly username: string;
  readonly password: string;
  readonly fingerprints: readonly string[];
}

/** When the process dies. */
export type DeathPoint =
  | { readonly kind: 'never' }
  /** As the nth call to either pool has been answered. */
  | { readonly kind: 'call'; readonly nth: number }
  /** Right before or after a step, counted over steps of that kind. */
  | {
      readonly kind: 'step';
      readonly when: 'started' | 'finished';
      readonly step: string;
      readonly nth: number;
    }
  /** In the middle of a transfer. */
  | { readonly kind: 'sent'; readonly bytes: number };

export interface RunnerInput {
  readonly source: EndpointData;
  readonly target: EndpointData;
  readonly job: JobDefinition;
  readonly run: string;
  readonly death: DeathPoint;
  readonly limits: SegmentLimits;
}

const input = JSON.parse(readFileSync(0, 'utf8')) as RunnerInput;
const { death } = input;
let calls = 0;
let steps = 0;

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

function onCall(): void {
  calls += 1;
  if (death.kind === 'call' && calls === death.nth) die();
}

function onEvent(event: RunEvent): void {
  const boundary = event.kind === 'step-started' || event.kind === 'step-finished' ? event : null;
  if (death.kind === 'step' && boundary?.kind === `step-${death.when}` && boundary.step === death.step) {
    steps += 1;
    if (steps === death.nth) die();
  }
  if (death.kind === 'sent' && event.kind === 'disk-progress' && event.bytesSent >= death.bytes) die();
}

function connect({ name, url, username, password, fingerprints }: EndpointData): Promise<Pool> {
  return Pool.connect(
    {
      name,
      url,
      username,
      password: () => Promise.resolve(password),
      tls: { kind: 'fingerprints', sha256: fingerprints },
      legacyTls: false,
    },
    { onCall },
  );
}

async function main(): Promise<void> {
  const source = await connect(input.source);
  const target = await connect(input.target);
  // Only what the run itself calls is counted, so that the nth call is the same one in every try.
  calls = 0;
  const report = await runJob({
    job: input.job,
    source,
    target,
    lockWaitMs: 0,
    limits: input.limits,
    context: {
      runId: input.run,
      who: 'a run that dies',
      clock: systemClock,
      signal: new AbortController().signal,
      emit: onEvent,
    },
  });
  await Promise.all([source.disconnect(), target.disconnect()]);
  process.stdout.write(JSON.stringify({ report, calls }));
}

void main();
