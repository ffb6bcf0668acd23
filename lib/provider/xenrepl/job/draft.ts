import { isSame } from '../../framework';
import type { PlanRequest, ValueObject } from '../../framework';
import type { SessionContext } from '../session';

/** One job being planned. */
export interface Draft extends PlanRequest {
  /** True where the job is to be made anew: there is none yet, or it moves to another pool or identity. */
  readonly fresh: boolean;
  readonly context: SessionContext;
}

export function differs(values: ValueObject, prior: ValueObject | null, name: string): boolean {
  return prior === null || !isSame(values[name] ?? null, prior[name] ?? null);
}
