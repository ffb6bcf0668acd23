import type { Call } from '../pool/call';
import { checkVmOperation, refreshVm } from './vm-rules';

/**
 * Runs `work` as an operation on the VM that the first argument names: checked, shown in `current_operations`, waiting
 * for what it cannot run beside.
 */
export function vmOperation<T>(call: Call, operation: string, work: () => T | Promise<T>): Promise<T> {
  return operationOn(call, call.args.text(0), operation, work);
}

export function operationOn<T>(
  call: Call,
  vm: string,
  operation: string,
  work: () => T | Promise<T>,
): Promise<T> {
  const { db } = call.pool;
  return call.pool.operations.run(
    {
      className: 'VM',
      ref: vm,
      name: operation,
      task: call.task,
      signal: call.signal,
      check: () => checkVmOperation(db, vm, operation),
      refresh: () => refreshVm(db, vm),
    },
    work,
  );
}
