/**
 * Reads recovery points back and compares them with what they are copies of.
 *
 * No lock is taken: reading harms nobody, and a run must not wait for hours until a large disk was read. A run that
 * destroys a point meanwhile ends its verification, which says so.
 */
import type { CallOptions, Pool } from '../../xapi';
import { rateLimits } from '../../planner/bandwidth';
import type { RateWish } from '../../planner/bandwidth';
import type { JobDefinition } from '../../planner/job';
import type { VerifyMode } from '../../planner/verify';
import type { Clock } from '../context';
import { ReplicationError } from '../errors';
import { readingPace } from '../job-pace';
import type { JobPace } from '../job-pace';
import { listReplicas } from '../replicas';
import type { RecoveryPointSummary, ReplicaSummary } from '../replicas';
import type { PointVerification, VerifyEvent, VerifyReport } from './report';
import { verifyPoint } from './verify-point';

export interface VerifyJobOptions {
  readonly job: JobDefinition;
  /** Null where the source does not answer: recorded digests are all there is then. */
  readonly source: Pool | null;
  readonly target: Pool;
  /** Null for all. */
  readonly onlyVms: readonly string[] | null;
  readonly points: 'newest' | 'all' | { readonly uuid: string };
  readonly mode: VerifyMode;
  /** Of each disk, in a sample. */
  readonly sampleBytes: number;
  /** How fast each of the two pools is read; as the job is where absent. */
  readonly rate?: RateWish;
  readonly context: VerifyContext;
}

/** One verification under way. */
export interface Verifying extends VerifyJobOptions {
  readonly pacing: JobPace;
  /** When it began, by the target pool's clock. */
  readonly sinceMs: number;
}

export interface VerifyContext {
  readonly runId: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly emit: (event: VerifyEvent) => void;
  /** From 0 up to but not 1: which blocks a sample reads. */
  readonly random: () => number;
}

/**
 * One recovery point after the other: each takes a stream from either pool, beside what runs take.
 *
 * @throws ReplicationError `point-missing` where a recovery point is named that the job has not.
 */
export async function verifyJob(options: VerifyJobOptions): Promise<VerifyReport> {
  const { job, target, context } = options;
  const call: CallOptions = { signal: context.signal };
  const replicas = await listReplicas(target, job.jobId, call);
  const chosen = choose(options, replicas);
  const points: PointVerification[] = [];
  const { clock, signal, emit } = context;
  const limits = rateLimits(job.limits, options.rate ?? 'as the job');
  const pacing = await readingPace({ limits, clock, signal, emit }, options.source);
  const sinceMs = await target.serverTime(call);
  for (const { replica, point } of chosen) {
    context.signal.throwIfAborted();
    points.push(await verifyPoint({ ...options, pacing, sinceMs }, replica, point));
  }
  await pacing.nice?.finish();
  return {
    job: { id: job.jobId, name: job.name },
    ok: points.length > 0 && points.every(({ outcome }) => outcome.kind === 'equal'),
    points,
  };
}

interface Chosen {
  readonly replica: ReplicaSummary;
  readonly point: RecoveryPointSummary;
}

function choose(
  { job, target, onlyVms, points: wanted }: VerifyJobOptions,
  replicas: readonly ReplicaSummary[],
): readonly Chosen[] {
  const vms = onlyVms?.map((uuid) => uuid.toLowerCase()) ?? null;
  const all = replicas
    .filter(({ sourceVmUuid }) => vms?.includes(sourceVmUuid.toLowerCase()) ?? true)
    .flatMap((replica) => replica.points.map((point) => ({ replica, point })));
  if (wanted === 'all') return all;
  if (wanted === 'newest') return all.filter(({ replica, point }) => replica.points[0] === point);
  const found = all.filter(({ point }) => point.uuid === wanted.uuid.toLowerCase());
  if (found.length > 0) return found;
  throw new ReplicationError(
    'point-missing',
    `Job "${job.name}" (${job.jobId}) has no recovery point ${wanted.uuid} on pool "${target.name}"`,
    { retry: 'never', hint: 'list them with: xenrepl replicas' },
  );
}
