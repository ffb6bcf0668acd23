/** Plays points one after another, on the same pools as long as they are as a point may expect them. */
import { smallSpec, Stage } from './stage';
import type { FaultPoint, Group } from './point';
import { Random } from './random';
import type { Row } from './trace';
import type { Victims } from './victims';

export interface Numbered {
  readonly index: number;
  readonly group: Group;
  readonly point: FaultPoint;
}

export interface Result {
  readonly index: number;
  readonly durationMs: number;
  /** Null where it went as stated. */
  readonly failure: string | null;
  readonly row: Row;
}

/** Old pools answer more slowly, and what one point left unnoticed must not spoil all that follow. */
const pointsPerStageMax = 12;
/** A point that hangs must not hang the table. */
const pointMaxMs = 180_000;
const leaveMaxMs = 30_000;
const nothing: Row = { first: '', next: '', digests: '', leftovers: '' };

/** Points that are played on the same pools: the same for a choice, however many processes play. */
export function pieces(chosen: readonly Numbered[]): readonly (readonly Numbered[])[] {
  const shared = chosen.filter(({ point }) => point.from === 'replica');
  const alone = chosen.filter(({ point }) => point.from !== 'replica').map((one) => [one]);
  const together = Array.from({ length: Math.ceil(shared.length / pointsPerStageMax) }, (_, piece) =>
    shared.slice(piece * pointsPerStageMax, (piece + 1) * pointsPerStageMax),
  );
  return [...together, ...alone].sort((a, b) => (a[0]?.index ?? 0) - (b[0]?.index ?? 0));
}

export async function playPiece(
  piece: readonly Numbered[],
  seed: string,
  victims: Victims,
  onResult: (result: Result) => void,
): Promise<void> {
  let stage: Stage | null = null;
  for (const { index, group, point } of piece) {
    const random = new Random(seed, group.title, point.name);
    const startedMs = performance.now();
    let failure: string | null = null;
    try {
      stage ??= await prepared(point, victims, random);
      stage.trace.reset();
      await bounded(stage, point.play(stage, random), point.maxMs ?? pointMaxMs);
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
    const row = stage?.trace.row() ?? nothing;
    onResult({ index, durationMs: performance.now() - startedMs, failure, row });
    if (failure === null && point.from === 'replica') continue;
    if (stage !== null) await leave(stage, group, point);
    stage = null;
  }
  await stage?.[Symbol.asyncDispose]();
}

/** What hangs may not let go of its pools either: that must not hang the points that follow. */
async function leave(stage: Stage, group: Group, point: FaultPoint): Promise<void> {
  await bounded(stage, stage[Symbol.asyncDispose](), leaveMaxMs).catch((error: unknown) => {
    console.error(`the pools of "${group.title}: ${point.name}" could not be taken down:`, error);
  });
}

async function prepared(point: FaultPoint, victims: Victims, random: Random): Promise<Stage> {
  const stage = await Stage.open(victims, point.spec ?? smallSpec);
  if (point.from === 'empty') return stage;
  try {
    for (let run = 0; run < 2; run += 1) {
      await stage.write(random);
      const { report } = await stage.run();
      if (!report.ok) throw new Error(`the pools could not be prepared: ${JSON.stringify(report.vms)}`);
    }
    return stage;
  } catch (error) {
    await stage[Symbol.asyncDispose]();
    throw error;
  }
}

async function bounded(stage: Stage, playing: Promise<void>, maxMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`did not end within ${String(maxMs)} ms; ${stage.pending.describe()}`)),
      maxMs,
    );
  });
  try {
    await Promise.race([playing, late]);
  } finally {
    clearTimeout(timer);
  }
}
