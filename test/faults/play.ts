/** Plays points one after another, on the same pools as long as they are as a point may expect them. */
import type { FaultPoint, Group, Verdict } from './point';
import { Random } from './random';
import { Stage } from './stage';
import type { Victims } from './victims';

export interface Chosen {
  readonly group: Group;
  readonly point: FaultPoint;
}

export interface Result extends Chosen {
  readonly durationMs: number;
  /** Null where it went as stated. */
  readonly failure: string | null;
  readonly weakness: string | null;
}

/** Old pools answer more slowly, and what one point left unnoticed must not spoil all that follow. */
const pointsPerStageMax = 12;
/** A point that hangs must not hang the table. */
const pointMaxMs = 120_000;

export async function play(
  chosen: readonly Chosen[],
  seed: string,
  victims: Victims,
  onResult: (result: Result) => void,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  let kept: Stage | null = null;
  for (const { group, point } of chosen) {
    const random = new Random(seed, group.title, point.name);
    const startedMs = performance.now();
    const fits: boolean = point.from === 'replica' && kept !== null;
    const played = await playOne(point, fits ? kept : null, victims, random);
    if (fits) kept = null;
    if (played.stage !== null && point.from === 'replica' && isAsItWas(played)) kept = played.stage;
    else await played.stage?.[Symbol.asyncDispose]();
    const { failure, verdict } = played;
    const weakness = verdict?.weakness ?? null;
    const result: Result = { group, point, durationMs: performance.now() - startedMs, failure, weakness };
    results.push(result);
    onResult(result);
  }
  await kept?.[Symbol.asyncDispose]();
  return results;
}

interface Played {
  readonly stage: Stage | null;
  readonly verdict: Verdict;
  readonly failure: string | null;
}

async function playOne(
  point: FaultPoint,
  kept: Stage | null,
  victims: Victims,
  random: Random,
): Promise<Played> {
  let stage = kept;
  try {
    stage ??= await prepared(point, victims, random);
    stage.pointsPlayed += 1;
    const verdict = await bounded(point.play(stage, random));
    return { stage, verdict, failure: null };
  } catch (error) {
    return { stage, verdict: undefined, failure: error instanceof Error ? error.message : String(error) };
  }
}

function isAsItWas({ stage, verdict, failure }: Played): boolean {
  return failure === null && verdict === undefined && (stage?.pointsPlayed ?? 0) < pointsPerStageMax;
}

async function prepared(point: FaultPoint, victims: Victims, random: Random): Promise<Stage> {
  const stage = await Stage.open(victims);
  if (point.from === 'empty') return stage;
  for (let run = 0; run < 2; run += 1) {
    await stage.write(random);
    const { report } = await stage.run();
    if (!report.ok) throw new Error(`the pools could not be prepared: ${JSON.stringify(report.vms)}`);
  }
  return stage;
}

async function bounded(verdict: Promise<Verdict>): Promise<Verdict> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not end within ${String(pointMaxMs)} ms`)), pointMaxMs);
  });
  try {
    return await Promise.race([verdict, late]);
  } finally {
    clearTimeout(timer);
  }
}
