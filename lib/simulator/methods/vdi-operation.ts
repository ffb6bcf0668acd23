import type { Call } from '../pool/call';
import { checkVdiOperation, refreshVdi } from '../pool/vdi-rules';

/** Runs `work` as an operation on the VDI that the first argument names. */
export function vdiOperation<T>(call: Call, operation: string, work: () => T | Promise<T>): Promise<T> {
  const { db } = call.pool;
  const vdi = call.args.text(0);
  return call.pool.operations.run(
    {
      className: 'VDI',
      ref: vdi,
      name: operation,
      task: call.task,
      signal: call.signal,
      check: () => checkVdiOperation(db, vdi, operation),
      refresh: () => refreshVdi(db, vdi),
    },
    work,
  );
}
