import { DiagnosticError, error, warning } from '../framework';
import type { Context, Diagnostic, Path } from '../framework';
import type { Pool } from '../../xapi';
import { UnreachableError } from './connections';
import type { Connections, EngineSide } from './connections';

/** What the operations of one process share. */
export interface Session {
  readonly engine: EngineSide;
  /** Null while the pools file is known only after apply. */
  readonly connections: Connections | null;
  /** Whether a target pool that does not answer fails the operation. */
  readonly onUnreachable: 'fail' | 'warn';
  /** Where relative paths of arguments start. */
  readonly cwd: string;
  /** Who works here, for locks. */
  readonly who: string;
  /** A new uuid. */
  readonly newId: () => string;
}

export type SessionContext = Context<Session>;

/** Works with a pool, and shows what its connection warned of. Fails as `Connections.use` does. */
export async function usePool<Result>(
  context: SessionContext,
  poolName: string,
  work: (pool: Pool) => Promise<Result>,
): Promise<Result> {
  const { connections } = context.configured;
  if (connections === null) {
    throw new Error(
      'the pools file of the provider is not known before apply; give pools_file a fixed value',
    );
  }
  try {
    return await connections.use(poolName, context.signal, work);
  } finally {
    for (const text of connections.takeWarnings()) {
      context.report(warning(`Connection to Pool "${poolName}"`, text));
    }
  }
}

/** Why a pool cannot be used at all: the pools file does not name it. Null where it does. */
export function unknownPool(context: SessionContext, poolName: string): string | null {
  const { connections } = context.configured;
  if (connections === null || connections.knows(poolName)) return null;
  const names = connections.poolNames.map((name) => `"${name}"`).join(', ');
  return `The pools file has no pool "${poolName}". It names: ${names || 'none'}.`;
}

/**
 * A pool that bears the right name but is another one (an edited pools file, say) must not be asked about what was made on
 * the first: it would truthfully say that it does not know it.
 *
 * @throws DiagnosticError where the uuids differ.
 */
export function assertSamePool(pool: Pool, expectedUuid: unknown, path: Path): void {
  if (typeof expectedUuid !== 'string' || expectedUuid.toLowerCase() === pool.uuid.toLowerCase()) return;
  throw new DiagnosticError(
    error(
      `Pool "${pool.name}" Is Another Pool`,
      `This was created on pool ${expectedUuid}, but the pools file leads "${pool.name}" to pool ${pool.uuid} ` +
        `("${pool.label}"). Correct the pools file. To move it to another pool, give that one a name of its own ` +
        'there and change target_pool.',
      path,
    ),
  );
}

/** An error where the user is about to change something, a warning where the plan only passes by. */
export function complaint(isChange: boolean): (summary: string, detail: string, path?: Path) => Diagnostic {
  return isChange ? error : warning;
}

/** A target that is lost for good must not hold the state hostage. */
export function withWayOut(failure: unknown, noun: string): unknown {
  if (!(failure instanceof UnreachableError)) return failure;
  return new Error(
    `${failure.message}\nThe state was kept. Repair the connection and try again. To plan while the pool is away, set ` +
      `on_unreachable = "warn" in the provider; if the pool is lost for good, forget the ${noun} with terraform state rm.`,
    { cause: failure.cause },
  );
}
