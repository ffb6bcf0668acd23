/**
 * Which recovery points may be wrong because another one is. A delta takes over whatever it does not write, so what is
 * wrong on one point came from the one before it, or has gone on to the one after it, as likely as not.
 */
import { own } from './keys';
import type { Found } from './records';
import type { TargetCommit, VerifiedMark } from './keys';

/** What of a recovery point is looked at. */
export interface JudgedPoint {
  readonly point: { readonly verified: Found<VerifiedMark> };
  readonly commit: Pick<TargetCommit, 'self' | 'kind' | 'committedAtMs' | 'sourceSnapshot' | 'baseSnapshot'>;
}

interface Wrong {
  readonly commit: JudgedPoint['commit'];
  readonly mark: VerifiedMark;
}

/**
 * Why no delta may start from a point, by the point's uuid; points that are beyond doubt are not in it.
 *
 * Once it was compared as a whole since the other was found to differ, and found equal, a point is beyond doubt.
 */
export function doubts(points: readonly JudgedPoint[]): ReadonlyMap<string, string> {
  const oldestFirst = [...points].sort((a, b) => a.commit.committedAtMs - b.commit.committedAtMs);
  const wrongs = oldestFirst.flatMap(({ point, commit }): Wrong[] => {
    const mark = own(point.verified);
    return mark?.equal === false ? [{ commit, mark }] : [];
  });
  const found = new Map<string, string>();
  /** Whose wrongness a doubtful point may share. */
  const culprits = new Map<string, Wrong>();
  for (const { point, commit } of oldestFirst) {
    const itself = whyItself(point.verified);
    if (itself !== null) {
      found.set(commit.self, itself);
      continue;
    }
    const parent = oldestFirst.find((other) => other.commit.sourceSnapshot === commit.baseSnapshot);
    const inherited = parent === undefined ? undefined : culprits.get(parent.commit.self);
    const related = wrongs.filter((wrong) => isRelated(commit, wrong, oldestFirst));
    const culprit = [...related, ...(inherited === undefined ? [] : [inherited])].find(
      (wrong) => !isProvedSince(own(point.verified), wrong.mark),
    );
    if (culprit === undefined) continue;
    culprits.set(commit.self, culprit);
    found.set(
      commit.self,
      `recovery point ${culprit.commit.self} was found to differ from its source snapshot, and this one was not verified in full since`,
    );
  }
  return found;
}

function whyItself(verified: Found<VerifiedMark>): string | null {
  if (verified.kind === 'unreadable')
    return `what its last verification found cannot be read: ${verified.reason}`;
  return own(verified)?.equal === false
    ? 'its last verification found that it is not what its source snapshot was'
    : null;
}

/** A first copy takes nothing over. And whoever made a point after the finding had looked whether its base was good. */
function isRelated(commit: JudgedPoint['commit'], wrong: Wrong, points: readonly JudgedPoint[]): boolean {
  if (commit.kind === 'delta' && commit.baseSnapshot === wrong.commit.sourceSnapshot) return true;
  if (commit.committedAtMs > wrong.mark.atMs) return false;
  const [fromMs, toMs] = [commit.committedAtMs, wrong.commit.committedAtMs].sort((a, b) => a - b);
  return !points.some(
    ({ commit: { kind, committedAtMs: atMs } }) =>
      kind === 'full' && fromMs !== undefined && toMs !== undefined && atMs > fromMs && atMs <= toMs,
  );
}

function isProvedSince(verified: VerifiedMark | null, wrong: VerifiedMark): boolean {
  return (
    verified?.equal === true && verified.mode === 'full' && verified.atMs >= (wrong.sinceMs ?? wrong.atMs)
  );
}
