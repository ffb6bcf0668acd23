import { toDiagnostics } from './diagnostics';
import type { Context, Resource } from './resource';
import { settle } from './settle';
import { unableTo } from './titles';
import { UNKNOWN } from './value';
import type { ValueObject } from './value';

/** `prior` null: create; `planned` null: delete. */
export interface ApplyRequest {
  readonly prior: ValueObject | null;
  readonly planned: ValueObject | null;
  readonly config: ValueObject | null;
}

/**
 * Creates, updates or deletes, as the null-ness of prior and planned says. Answers what is left; on failure that is
 * what was there before, so that nothing that exists is forgotten.
 */
export async function apply<Configured>(
  resource: Resource<Configured>,
  { prior, planned, config }: ApplyRequest,
  context: Context<Configured>,
): Promise<ValueObject | null> {
  if (planned === null) {
    if (prior === null) return null;
    return attempt(context, prior, unableTo('Delete', resource.noun, prior), async () => {
      await resource.delete(prior, context);
      return null;
    });
  }
  const wanted = withWriteOnly(resource, planned, config);
  const title = unableTo(prior === null ? 'Create' : 'Update', resource.noun, planned);
  return attempt(context, prior, title, async () => {
    const made =
      prior === null ? await resource.create(wanted, context) : await resource.update(prior, wanted, context);
    return settle(resource.schema.attributes, forgetWriteOnly(resource, made), planned);
  });
}

async function attempt(
  { report, signal }: Pick<Context<unknown>, 'report' | 'signal'>,
  before: ValueObject | null,
  summary: string,
  work: () => Promise<ValueObject | null>,
): Promise<ValueObject | null> {
  try {
    return await work();
  } catch (failure) {
    toDiagnostics(failure, summary, signal).forEach(report);
    return before;
  }
}

/** Write-only arguments are null in the plan: what the user wrote stands in the configuration alone. */
function withWriteOnly<Configured>(
  { schema }: Resource<Configured>,
  planned: ValueObject,
  config: ValueObject | null,
): ValueObject {
  const hidden = Object.entries(schema.attributes).filter(([, { writeOnly }]) => writeOnly === true);
  return {
    ...planned,
    ...Object.fromEntries(hidden.map(([name]) => [name, config?.[name] ?? null])),
  };
}

function forgetWriteOnly<Configured>({ schema }: Resource<Configured>, state: ValueObject): ValueObject {
  return Object.fromEntries(
    Object.entries(state).map(([name, value]) => {
      const forgotten = schema.attributes[name]?.writeOnly === true || value === UNKNOWN;
      return [name, forgotten ? null : value];
    }),
  );
}
