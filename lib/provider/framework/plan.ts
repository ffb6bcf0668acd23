import { toDiagnostics } from './diagnostics';
import type { Path } from './diagnostics';
import { planValues, replacedAttributes } from './plan-values';
import type { Context, Resource } from './resource';
import { unableTo } from './titles';
import type { ValueObject } from './value';

/** `prior` null: create; `config` null: destroy. */
export interface PlanChangeRequest {
  readonly prior: ValueObject | null;
  readonly config: ValueObject | null;
}

export interface Planned {
  readonly planned: ValueObject | null;
  readonly requiresReplace: readonly Path[];
}

/** Decides what a create, update or destroy will leave behind; changes nothing. */
export async function plan<Configured>(
  resource: Resource<Configured>,
  { prior, config }: PlanChangeRequest,
  context: Context<Configured>,
): Promise<Planned> {
  if (config === null) {
    if (prior !== null) await resource.planDestroy?.(prior, context);
    return { planned: null, requiresReplace: [] };
  }
  const { attributes } = resource.schema;
  const base = planValues(attributes, config, prior);
  try {
    const chosen = (await resource.plan?.({ prior, planned: base, config }, context)) ?? { planned: base };
    const replaced = prior === null ? [] : replacedAttributes(attributes, chosen.planned, prior);
    return {
      planned: chosen.planned,
      requiresReplace: [...replaced, ...(chosen.requiresReplace ?? [])],
    };
  } catch (failure) {
    toDiagnostics(failure, unableTo('Plan', resource.noun, config), context.signal).forEach(context.report);
    return { planned: prior, requiresReplace: [] };
  }
}
