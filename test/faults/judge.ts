/** Says what is wrong on both pools: by digests and records, and by nothing that the engine claims. */
import type { RunReport } from '../../lib/engine';
import { leftovers } from '../engine/inspect';
import type { Side, Stage } from './stage';
import { View } from './view';
import type { ViewedCommit } from './view';

/** A fault point that ended otherwise than its group states. */
export class Wrong extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.name = 'Wrong';
  }
}

/** What belongs to people in this point and therefore may be there: matched against what is found. */
export type Tolerated = readonly RegExp[];

/**
 * The task of an asynchronous call bears XAPI's own name. Where its caller died nobody can tell whose it was, and
 * nothing depends on it: XAPI removes it an hour after its end.
 */
const deadCall = /^(source|target): task Async\./;

export class Judge {
  readonly #stage: Stage;
  /** Content of each committed disk when it was first seen: later it must be the same, whoever else is gone. */
  readonly #digests = new Map<string, string>();
  /** Content of the disks of source snapshots, which never changes: still known when they are gone. */
  readonly #sources = new Map<string, string>();

  /** Points that a verification found to be wrong, and said so. */
  readonly #condemned = new Set<string>();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** From now on this point may be otherwise than its commit says: its verification told everybody. */
  condemn(uuid: string): void {
    this.#condemned.add(uuid);
  }

  /** Keeps in mind what the source's snapshots hold: to be called before they may be destroyed. */
  async remember(): Promise<void> {
    await this.#remember(await View.of(this.#stage.site.source));
  }

  /** At any moment: whatever bears a commit has the content of the source snapshot that it names. */
  async commitsTrue(): Promise<void> {
    const [source, target] = await this.#views();
    await this.#remember(source);
    const problems: string[] = [];
    const commits = target.commits.filter(({ vm }) => !this.#condemned.has(vm.uuid));
    for (const commit of commits) problems.push(...(await this.#untrue(commit)));
    say(problems);
    const disks = commits.reduce((sum, commit) => sum + commit.disks.length, 0);
    this.#stage.trace.compared(commits.length, disks);
  }

  /** After a run that says it went well. */
  async clean(tolerated: Tolerated = []): Promise<void> {
    await this.commitsTrue();
    const [source, target] = await this.#views();
    const problems = [
      ...(await leftovers(this.#stage.site)),
      ...orphans('source', source),
      ...orphans('target', target),
      ...(await this.#newestIsBase(source, target)),
    ];
    const ended = problems.filter((problem) => deadCall.test(problem));
    const others = problems.filter((problem) => tolerated.some((one) => one.test(problem)));
    this.#stage.trace.leftOver(others.length, ended.length);
    say(problems.filter((problem) => !ended.includes(problem) && !others.includes(problem)));
  }

  /** A report that says `replicated` names a committed point whose base stands on both sides. */
  async toldTruth(report: RunReport): Promise<void> {
    const [source, target] = await this.#views();
    const problems = report.vms.flatMap(({ outcome }) => {
      if (outcome.kind !== 'replicated') return [];
      const commit = target.commits.find(({ vm }) => vm.uuid === outcome.point.uuid);
      if (commit?.sourceSnapshot !== outcome.sourceSnapshot.uuid)
        return [`the report names point ${outcome.point.uuid}, which bears no such commit`];
      const snapshot = source.vms.find(({ uuid }) => uuid === outcome.sourceSnapshot.uuid);
      return snapshot !== undefined && committedOnSource(snapshot.config, snapshot.uuid)
        ? []
        : [`the report names source snapshot ${outcome.sourceSnapshot.uuid}, which bears no commit`];
    });
    say(problems);
  }

  /** Uuids of the recovery points that count now. */
  async points(): Promise<ReadonlySet<string>> {
    const target = await View.of(this.#stage.site.target);
    return new Set(target.commits.map(({ vm }) => vm.uuid));
  }

  async #remember(source: View): Promise<void> {
    for (const { uuid } of source.vms.filter(({ isSnapshot }) => isSnapshot).flatMap(({ disks }) => disks)) {
      const digest = this.#sources.has(uuid) ? null : await this.#digest('source', uuid);
      if (digest !== null) this.#sources.set(uuid, digest);
    }
  }

  async #untrue(commit: ViewedCommit): Promise<readonly string[]> {
    const problems: string[] = [];
    for (const { device, vdi, sourceVdi } of commit.disks) {
      const found = await this.#digest('target', vdi);
      const wanted = this.#sources.get(sourceVdi);
      const known = this.#digests.get(vdi) ?? found;
      if (found !== wanted || found !== known)
        problems.push(`disk ${device} of point "${commit.vm.name}" is not what its commit says`);
      if (found !== null) this.#digests.set(vdi, found);
    }
    return problems;
  }

  async #newestIsBase(source: View, target: View): Promise<readonly string[]> {
    const newest = target.commits.at(-1);
    if (newest === undefined) return ['target: there is no recovery point'];
    const snapshot = source.vms.find(({ uuid }) => uuid === newest.sourceSnapshot);
    const problems: string[] = [];
    if (snapshot === undefined || !committedOnSource(snapshot.config, snapshot.uuid))
      problems.push('the newest point has no counterpart on the source');
    const replica = target.vms.find(({ ref }) => ref === newest.vm.snapshotOf);
    for (const { device, vdi } of newest.disks) {
      const live = replica?.disks.find((disk) => disk.device === device);
      if (live === undefined || (await this.#digest('target', live.uuid)) !== this.#digests.get(vdi))
        problems.push(`disk ${device} of the live replica is not that of its newest point`);
    }
    return problems;
  }

  async #digest(side: Side, uuid: string): Promise<string | null> {
    try {
      return (await this.#stage.pool(side).control.digestDisk(uuid)).sha256;
    } catch {
      return null;
    }
  }

  async #views(): Promise<readonly [View, View]> {
    return [await View.of(this.#stage.site.source), await View.of(this.#stage.site.target)];
  }
}

/** Snapshots that bear no commit, and VMs that nobody expects. */
function orphans(side: Side, view: View): readonly string[] {
  const expected = side === 'source' ? 'db1' : 'the replica';
  const snapshots = view.vms.filter(({ isSnapshot }) => isSnapshot);
  const bare = snapshots.filter(({ config, uuid }) =>
    side === 'source' ? !committedOnSource(config, uuid) : !view.commits.some(({ vm }) => vm.uuid === uuid),
  );
  const most = side === 'source' ? 1 : 2;
  const guests = view.guests.filter(
    ({ config }) => side === 'source' || config['xenrepl:replica'] === undefined,
  );
  return [
    ...bare.map(({ name }) => `${side}: snapshot "${name}" bears no commit`),
    ...(snapshots.length > most
      ? [`${side}: ${String(snapshots.length)} snapshots, at most ${String(most)}`]
      : []),
    ...guests
      .filter(({ name }) => !(side === 'source' && name === 'db1'))
      .map(({ name }) => `${side}: VM "${name}" besides ${expected}`),
  ];
}

function committedOnSource(config: Readonly<Record<string, string>>, uuid: string): boolean {
  return Object.entries(config).some(
    ([key, value]) => key.startsWith('xenrepl:commit:') && value.includes(`"self":"${uuid}"`),
  );
}

function say(problems: readonly string[]): void {
  if (problems.length > 0) throw new Wrong(problems);
}
