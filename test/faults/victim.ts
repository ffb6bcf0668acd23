/**
 * The engine in a process of its own, which dies at a named call: by SIGKILL, so that there is no `finally`, no
 * clean-up and no closing of sockets by us. It is started early and waits for one message.
 */
import { buryJob, runJob, systemClock, writeJob } from '../../lib/engine';
import type { RunReport } from '../../lib/engine';
import type { SegmentLimits } from '../../lib/engine/data/write-segments';
import type { JobDefinition } from '../../lib/planner/job';
import { Pool } from '../../lib/xapi';

export interface VictimEndpoint {
  readonly name: string;
  readonly url: string;
  readonly username: string;
  readonly password: string;
  readonly fingerprints: readonly string[];
}

/** A call that changes something: the nth of its method on that pool. */
export interface ChangingCall {
  readonly side: 'source' | 'target';
  readonly method: string;
  readonly nth: number;
}

export interface SentBytes {
  readonly sentBytes: number;
}

export interface VictimInput {
  readonly work: 'run' | 'write-job' | 'bury-job';
  readonly source: VictimEndpoint;
  readonly target: VictimEndpoint;
  readonly job: JobDefinition;
  readonly run: string;
  readonly limits: SegmentLimits;
  /** Null: nothing is remembered between runs. */
  readonly cacheDir: string | null;
  /** Dies as this call has been answered, or once so many bytes of a disk were sent; null: is killed from outside. */
  readonly death: ChangingCall | SentBytes | null;
}

export interface VictimOutput {
  readonly report: RunReport | null;
  readonly calls: readonly ChangingCall[];
  readonly error: string | null;
}

const calls: ChangingCall[] = [];

function isChange(method: string): boolean {
  return !/^(session\.|\w+\.get_|system\.|event\.)/.test(method);
}

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

function counter(side: ChangingCall['side'], { death }: VictimInput): (method: string) => void {
  const counts = new Map<string, number>();
  return (method) => {
    if (!isChange(method)) return;
    const nth = (counts.get(method) ?? 0) + 1;
    counts.set(method, nth);
    calls.push({ side, method, nth });
    if (death === null || 'sentBytes' in death) return;
    if (death.side === side && death.method === method && death.nth === nth) die();
  };
}

function connect(endpoint: VictimEndpoint, onCall: (method: string) => void): Promise<Pool> {
  const { name, url, username, password, fingerprints } = endpoint;
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

async function work(input: VictimInput): Promise<RunReport | null> {
  const target = await connect(input.target, counter('target', input));
  if (input.work === 'write-job') await writeJob(target, input.job);
  else if (input.work === 'bury-job') await buryJob(target, input.job.jobId);
  else {
    const source = await connect(input.source, counter('source', input));
    const report = await runJob({
      job: input.job,
      source,
      target,
      lockWaitMs: 0,
      limits: input.limits,
      ...(input.cacheDir === null ? {} : { cacheDir: input.cacheDir }),
      context: {
        runId: input.run,
        who: 'a run that dies',
        clock: systemClock,
        signal: new AbortController().signal,
        emit: (event) => {
          const { death } = input;
          if (death === null || !('sentBytes' in death) || event.kind !== 'disk-progress') return;
          if (event.bytesSent >= death.sentBytes) die();
        },
      },
    });
    await Promise.all([source.disconnect(), target.disconnect()]);
    return report;
  }
  await target.disconnect();
  return null;
}

function answer(output: VictimOutput): void {
  process.send?.(output, () => process.exit(0));
}

process.once('message', (input: VictimInput) => {
  work(input).then(
    (report) => answer({ report, calls, error: null }),
    (error: unknown) => answer({ report: null, calls, error: String(error) }),
  );
});
// Whoever started us is gone: nobody is left to work for.
process.once('disconnect', () => process.exit(1));
