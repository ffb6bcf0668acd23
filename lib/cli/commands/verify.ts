import { systemClock, verifyJob } from '../../engine';
import type { PointVerification, VerifyJobOptions, VerifyReport } from '../../engine';
import type { RateWish } from '../../planner/bandwidth';
import type { JobDefinition } from '../../planner/job';
import type { Pool } from '../../xapi';
import type { Command } from '../command';
import { Connections } from '../connections';
import { exitCodes } from '../exit-codes';
import { failureLines, failureOf } from '../failure';
import { findJob } from '../find-job';
import { bytes, duration, instant } from '../output/quantities';
import { table } from '../output/table';
import { verifyProgressFor } from '../progress/verify';

export interface VerifyOptions {
  readonly targetPool: string;
  readonly job: string;
  readonly onlyVms: readonly string[] | null;
  readonly points: VerifyJobOptions['points'];
  /** Of each disk; null: all of it. */
  readonly sampleBytes: number | null;
  readonly rate: RateWish;
}

/** Reads recovery points back and compares them with their source snapshots, or with recorded digests. */
export async function verify(command: Command, options: VerifyOptions): Promise<number> {
  const { io, signal } = command;
  await using connections = Connections.open(command);
  const target = await connections.named(options.targetPool);
  const job = await findJob(target, options.job, { signal });
  const source = await sourceIfThere(command, connections, job);
  const progress = verifyProgressFor(command);
  let report: VerifyReport;
  try {
    report = await verifyJob({
      job,
      source,
      target,
      onlyVms: options.onlyVms,
      points: options.points,
      mode: options.sampleBytes === null ? 'full' : 'sampled',
      sampleBytes: options.sampleBytes ?? 0,
      rate: options.rate,
      context: { runId: io.newId(), clock: systemClock, signal, emit: progress.show, random: Math.random },
    });
  } finally {
    progress.end();
  }
  print(command, report);
  return exitCodeOf(report);
}

/** Replicas outlive their source: without it there are recorded digests at least. */
async function sourceIfThere(
  command: Command,
  connections: Connections,
  job: JobDefinition,
): Promise<Pool | null> {
  try {
    return await connections.source(job);
  } catch (error) {
    command.signal.throwIfAborted();
    command.warn(
      `the source pool cannot be asked, so only recorded digests can be compared with: ${failureOf(error).message}`,
    );
    return null;
  }
}

function print({ json, out, err }: Command, report: VerifyReport): void {
  if (json) {
    out.line(JSON.stringify({ kind: 'report', ...report }));
    return;
  }
  out.lines(linesOf(report, out.width));
  for (const one of report.points) err.lines(complaintOf(one));
}

const columns = [
  { title: 'VM', shrinkTo: 12 },
  { title: 'RECOVERY POINT', shrinkTo: 13 },
  { title: 'AS OF', shrinkTo: 10 },
  { title: 'DISK' },
  { title: 'AGAINST' },
  { title: 'COMPARED', align: 'right' },
  { title: 'OF', align: 'right' },
  { title: 'RESULT', shrinkTo: 12 },
] as const;

function linesOf({ job, points }: VerifyReport, width: number | null): readonly string[] {
  if (points.length === 0) return [`job "${job.name}" has no recovery point: nothing was verified`];
  const good = points.filter(({ outcome }) => outcome.kind === 'equal').length;
  const tookMs = points.reduce((sum, { durationMs }) => sum + durationMs, 0);
  return [
    ...table(columns, points.flatMap(rowsOf), width),
    '',
    `${String(good)} of ${String(points.length)} recovery points found equal in ${duration(tookMs)}`,
  ];
}

function rowsOf({ vm, point, outcome, disks }: PointVerification): readonly (readonly string[])[] {
  const head = [vm.name, point.uuid, instant(point.takenAtMs)];
  if (disks.length === 0) return [[...head, '-', '-', '-', '-', outcome.kind]];
  return disks.map(({ device, against, comparedBytes, sizeBytes, differingBlocks, chanceOfFinding }) => {
    const share = chanceOfFinding < 1 ? ` (finds one wrong block in ${percent(chanceOfFinding)})` : '';
    const result =
      against === 'nothing'
        ? 'not verifiable'
        : differingBlocks > 0
          ? `differs in ${String(differingBlocks)}`
          : `equal${share}`;
    return [...head, device, against, bytes(comparedBytes), bytes(sizeBytes), result];
  });
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} % of cases`;
}

function complaintOf({ vm, point, outcome, disks }: PointVerification): readonly string[] {
  const what = `${vm.name}: recovery point "${point.name}" (${point.uuid})`;
  switch (outcome.kind) {
    case 'equal':
      return [];
    case 'superseded':
      return failureLines({
        message: `${what} was destroyed by a run meanwhile`,
        hint: 'verify the newest one',
      });
    case 'failed':
      return [
        ...differences(what, disks),
        ...failureLines({ message: `${what}: ${outcome.error.message}`, hint: outcome.error.hint }),
      ];
    case 'not-verifiable':
      return disks
        .filter(({ against }) => against === 'nothing')
        .flatMap(({ device, reason }) =>
          failureLines({
            message: `${what}: nothing to compare disk ${device} with: ${reason}`,
            hint: 'verify in full while the source snapshot is there: the digest that is recorded then lasts',
          }),
        );
    case 'differs':
      return differences(what, disks);
    case 'differed-before':
      return failureLines({
        message: `${what} was found to differ from its source snapshot before; what was compared now is equal, which does not take that back`,
        hint: 'do not recover from it; a full verification (without --sampled) compares every byte',
      });
  }
}

function differences(what: string, disks: PointVerification['disks']): readonly string[] {
  return disks
    .filter(({ differingBlocks }) => differingBlocks > 0)
    .flatMap(({ device, differingBlocks, firstDifferenceBytes }) =>
      failureLines({
        message: `${what} is not what its source snapshot was: disk ${device} differs in ${blocks(differingBlocks)}${
          firstDifferenceBytes === null ? '' : `, the first at byte ${String(firstDifferenceBytes)}`
        }`,
        hint:
          'do not recover from it; no further delta is built on it. Find out what wrote to it, or whether the storage ' +
          'is failing; then verify an older one in full, or run the job with on_missing_base = "full"',
      }),
    );
}

function blocks(count: number): string {
  return count === 1 ? '1 block of 2 MiB' : `${String(count)} blocks of 2 MiB`;
}

/** What is wrong outweighs what could not be looked at. */
function exitCodeOf({ ok, points }: VerifyReport): number {
  if (points.some(isWrong)) return exitCodes.differs;
  return ok ? exitCodes.ok : exitCodes.failed;
}

/** Also where another disk of it could not be read. */
function isWrong({ outcome, disks }: PointVerification): boolean {
  return outcome.kind === 'differed-before' || disks.some(({ differingBlocks }) => differingBlocks > 0);
}
