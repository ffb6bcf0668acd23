import type { MethodName, Ref, Result } from '../../lib/xapi';
import type { TransferFacts } from '../../lib/xapi/running-transfer';

const TASK = 'OpaqueRef:7a5c0000-0000-4000-8000-000000000001' as Ref<'task'>;

/** A session that knows one task, for parts that need no pool around them. */
export class TaskStub {
  readonly calls: string[] = [];
  #record = { status: 'pending', result: '', error_info: [] as readonly string[] };

  end(status: string, errorInfo: readonly string[] = []): void {
    this.#record = { status, result: '', error_info: errorInfo };
  }

  facts(method: string, signal?: AbortSignal): TransferFacts {
    return { session: this, task: TASK, poolName: 'paris', method, outcomeTimeoutMs: 60_000, signal };
  }

  call<M extends MethodName>(method: M): Promise<Result<M>> {
    this.calls.push(method);
    return Promise.resolve((method === 'task.get_record' ? this.#record : '') as Result<M>);
  }
}
