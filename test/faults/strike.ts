/** How most points go: something is done to a run, then one more run follows, then both pools are looked at. */
import type { JobDefinition } from '../../lib/planner/job';
import type { FaultRule } from '../../lib/simulator';
import { Wrong } from './judge';
import type { Tolerated } from './judge';
import type { Random } from './random';
import type { Ended, Gate, Side, Stage, StageRun } from './stage';

/**
 * What the struck run says. `at-once`: it goes through in one attempt; `heals`: it goes through by trying again;
 * `succeeds`: either; a code: it fails with that one (of several, separated by |).
 */
export type Expectation = 'at-once' | 'heals' | 'succeeds' | { readonly fails: string };

export interface Blow {
  readonly rules?: Readonly<Partial<Record<Side, readonly FaultRule[]>>>;
  readonly gates?: readonly Gate[];
  readonly run?: Omit<StageRun, 'gates'>;
  /** Before the struck run, after the guest has written. */
  readonly before?: (stage: Stage) => Promise<unknown>;
  readonly expect: Expectation;
  /** A failed run whose recovery point stands: it fell after its commit on the target. */
  readonly committed?: boolean;
  /** What a person does after reading the report, before the next run. */
  readonly remedy?: (stage: Stage) => Promise<unknown>;
  /** The job of the next run, where its owner changes it. */
  readonly next?: Partial<JobDefinition>;
  /** How often the next run is tried: an upload that is still alive, say, goes only with the one after it. */
  readonly nextRuns?: number;
  readonly tolerated?: Tolerated;
  /** What may be there right after the struck run, but not after the next. */
  readonly toleratedAtFirst?: Tolerated;
  /** Default: what a guest writes at random. */
  readonly write?: (stage: Stage) => Promise<unknown>;
}

export async function strike(stage: Stage, random: Random, blow: Blow): Promise<void> {
  await (blow.write === undefined ? stage.write(random) : blow.write(stage));
  await blow.before?.(stage);
  const before = await stage.judge.points();
  for (const side of ['source', 'target'] as const)
    for (const rule of blow.rules?.[side] ?? []) await stage.pool(side).control.addFault(rule);
  const struck = await stage.run({ ...blow.run, ...(blow.gates === undefined ? {} : { gates: blow.gates }) });
  await assertStruck(stage, blow);
  await stage.clearFaults();
  await judgeStruck(stage, blow, struck, before);
  await blow.remedy?.(stage);
  await recover(stage, blow);
}

/** A rule that hit nothing has shown nothing. */
async function assertStruck(stage: Stage, { rules }: Blow): Promise<void> {
  for (const side of ['source', 'target'] as const) {
    if (rules?.[side] === undefined) continue;
    for (const { rule, hits } of await stage.pool(side).control.faultCounters())
      if (hits === 0) throw new Wrong([`the fault ${JSON.stringify(rule)} met nothing`]);
  }
}

async function judgeStruck(
  stage: Stage,
  blow: Blow,
  { report }: Ended,
  before: ReadonlySet<string>,
): Promise<void> {
  const [vm] = report.vms;
  if (vm === undefined) throw new Wrong(['the report names no VM']);
  const said = vm.outcome.kind === 'replicated' ? 'replicated' : vm.outcome.error.code;
  const told = vm.outcome.kind === 'replicated' ? said : `${said} (${vm.outcome.error.message})`;
  const { expect } = blow;
  if (typeof expect === 'object') {
    if (!expect.fails.split('|').includes(said)) throw new Wrong([`expected ${expect.fails}, got ${told}`]);
  } else {
    if (said !== 'replicated') throw new Wrong([`expected success, got ${told}`]);
    if (expect === 'at-once' && vm.attempts !== 1)
      throw new Wrong([`expected one attempt, needed ${String(vm.attempts)}`]);
    if (expect === 'heals' && vm.attempts === 1) throw new Wrong(['expected a second attempt, needed none']);
  }
  await stage.judge.commitsTrue();
  await stage.judge.toldTruth(report);
  if (said === 'replicated')
    await stage.judge.clean([...(blow.tolerated ?? []), ...(blow.toleratedAtFirst ?? [])]);
  else if (blow.committed !== true) {
    const made = [...(await stage.judge.points())].filter((uuid) => !before.has(uuid));
    if (made.length > 0) throw new Wrong(['a run that failed left a committed recovery point']);
  }
}

/** One more run, which says that it went well and leaves nothing. */
export async function recover(
  stage: Stage,
  options: Pick<Blow, 'next' | 'nextRuns' | 'tolerated'> = {},
): Promise<void> {
  if (options.next !== undefined) stage.job = { ...stage.job, ...options.next };
  for (let run = 1; run <= (options.nextRuns ?? 1); run += 1) {
    const { report } = await stage.run();
    const [vm] = report.vms;
    if (vm?.outcome.kind !== 'replicated')
      throw new Wrong([`the run after it: ${vm === undefined ? 'no VM' : JSON.stringify(vm.outcome)}`]);
    await stage.judge.toldTruth(report);
  }
  await stage.judge.clean(options.tolerated);
}
