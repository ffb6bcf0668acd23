/** A plan in a line, so that a case can say what it expects. The steps that every plan has are left out. */
import type { Plan, Step } from '../../lib/planner/plan';

/**
 * `delta 0 from P1 S1, full 1; resume S2 1:n1; discard L; destroy P1 S1` · `repair: swap-disks, commit-target, …` ·
 * `deferred: source 0/28; P1 S1` (chains too deep; what is removed) · `blocked: no-space` (kinds of conflicts)
 */
export function told(plan: Plan): string {
  switch (plan.kind) {
    case 'blocked':
      return `blocked: ${plan.conflicts.map(({ kind }) => kind).join(', ')}`;
    case 'repair':
      return `repair: ${plan.steps.map(({ kind }) => kind).join(', ')}`;
    case 'adopt':
      return `adopt: ${plan.steps.map(({ kind }) => kind).join(', ')}`;
    case 'deferred': {
      const chains = plan.chains.map(({ side, device, layers }) => `${side} ${device}/${String(layers)}`);
      const removed = plan.steps.map((step) =>
        step.kind === 'discard-leftover' ? step.leftover.id.uuid : (destroyed(step) ?? step.kind),
      );
      return [`deferred: ${chains.join(', ')}`, ...(removed.length > 0 ? [removed.join(' ')] : [])].join(
        '; ',
      );
    }
    case 'replicate': {
      const parts = [
        copies(plan.steps, plan.base?.point.uuid, plan.base?.sourceSnapshot.uuid),
        listed('resume', plan.steps, (step) =>
          step.kind === 'resume-snapshot'
            ? step.snapshot.uuid
            : step.kind === 'resume-disk'
              ? `${step.device}:${step.vdi.uuid}`
              : null,
        ),
        listed('discard', plan.steps, (step) =>
          step.kind === 'discard-leftover' ? step.leftover.id.uuid : null,
        ),
        listed('destroy', plan.steps, destroyed),
      ];
      return parts.filter((part) => part !== '').join('; ');
    }
  }
}

function copies(steps: readonly Step[], point = '', snapshot = ''): string {
  return steps
    .flatMap((step) => (step.kind === 'copy-disk' ? [step.copy] : []))
    .map(({ kind, device }) =>
      kind === 'delta' ? `delta ${device} from ${point} ${snapshot}` : `full ${device}`,
    )
    .join(', ');
}

function listed(word: string, steps: readonly Step[], of: (step: Step) => string | null): string {
  const names = steps.map(of).filter((name) => name !== null);
  return names.length === 0 ? '' : `${word} ${names.join(' ')}`;
}

export function destroyed(step: Step): string | null {
  if (step.kind === 'destroy-point') return step.point.uuid;
  return step.kind === 'destroy-source-snapshot' ? step.snapshot.uuid : null;
}

/** Why each full is one, by device. */
export function reasons(plan: Plan): Readonly<Record<string, string>> {
  if (plan.kind !== 'replicate') return {};
  return Object.fromEntries(
    plan.steps.flatMap((step) =>
      step.kind === 'copy-disk' && step.copy.kind === 'full' ? [[step.copy.device, step.copy.because]] : [],
    ),
  );
}

export function stepsOf(plan: Plan): readonly Step[] {
  return plan.kind === 'blocked' ? [] : plan.steps;
}
