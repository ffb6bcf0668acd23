import type { Message } from '../datamodel/model';
import { ApiError, asApiError, internalError } from '../errors';
import { findHandler } from '../methods/table';
import { Arguments, type Call } from '../pool/call';
import type { FaultEffect } from '../pool/faults';
import type { Host } from '../pool/host';
import type { Pool } from '../pool/pool';
import { permits } from '../pool/roles';
import { marshal, xmlWriter, type EventBatch, type EventRecord, type Result } from './marshal';
import { checkCount, readParameters } from './parameters';
import type { Type } from '../datamodel/types';
import type { Value } from './unmarshal';
import { showRpc, type Rpc } from './value';

/** A call as it came in, before anything was looked up. */
export interface Request {
  readonly method: string;
  readonly params: readonly Rpc[];
  readonly host: Host;
  /** Header `task-id`: a task that this call is said to belong to. */
  readonly taskId: string | null;
  readonly signal: AbortSignal;
}

/** What goes back: a value with its type, a failure, or no answer at all because a fault said so. */
export type Reply =
  | { readonly kind: 'value'; readonly value: Value; readonly type: Type }
  | { readonly kind: 'batch'; readonly batch: EventBatch }
  | { readonly kind: 'events'; readonly events: readonly EventRecord[] }
  | { readonly kind: 'methods'; readonly names: readonly string[] }
  | { readonly kind: 'failure'; readonly error: ApiError }
  | { readonly kind: 'silence'; readonly how: 'cut' | 'hang' };

/** Carries out one call. Never rejects for anything a client can do. */
export async function dispatch(pool: Pool, request: Request): Promise<Reply> {
  try {
    if (request.method === 'system.listMethods') return { kind: 'methods', names: listMethods(pool) };
    return await dispatchMessage(pool, request);
  } catch (error) {
    return { kind: 'failure', error: asApiError(error) };
  }
}

const asyncPrefix = /^(Async|InternalAsync)\./;

async function dispatchMessage(pool: Pool, request: Request): Promise<Reply> {
  const name = request.method.replace(asyncPrefix, '');
  const message = pool.model.find(name);
  if (message === undefined) throw unknownMethod(pool, request, name);
  const [sessionParam, params] = splitSession(message, request.params);
  const values = readParameters(message, params, pool.model);
  const session = checkSession(pool, request.host, message, sessionParam);
  if (message.removed) throw new ApiError('MESSAGE_REMOVED');
  if (message.poolInternal) throw internalOnly(message);
  permits(pool, session, message);
  count(pool, message);
  const runsAsync = asyncPrefix.test(request.method);
  if (runsAsync && message.full === 'task.cancel')
    return {
      kind: 'value',
      value: `DummyRef:|${pool.random.uuid()}|Async.task.cancel`,
      type: { kind: 'string' },
    };
  if (runsAsync && !message.async)
    throw new ApiError('Fault', `No async mode for this operation (rpc: ${message.full})`);
  return runMessage({ pool, request, message, values, session, runsAsync });
}

interface Run {
  readonly pool: Pool;
  readonly request: Request;
  readonly message: Message;
  readonly values: readonly Value[];
  readonly session: string;
  readonly runsAsync: boolean;
}

/** A name nobody knows could still be a host extension, so the session is looked at first. */
function unknownMethod(pool: Pool, request: Request, name: string): ApiError {
  const session = request.params[0];
  if (session !== undefined) {
    if (session.kind !== 'string')
      return internalError(`Failure("Expected string, got '${showRpc(session)}'")`);
    if (request.host !== pool.coordinator) return slaveError(pool);
    pool.sessions.check(session.text);
  }
  return new ApiError('MESSAGE_METHOD_UNKNOWN', name);
}

function splitSession(message: Message, params: readonly Rpc[]): [Rpc | null, readonly Rpc[]] {
  if (!message.needsSession) {
    checkCount(message, params.length);
    return [null, params];
  }
  const [session, ...rest] = params;
  if (session !== undefined && session.kind !== 'string')
    throw internalError(`Failure("Expected string, got '${showRpc(session)}'")`);
  checkCount(message, params.length - 1);
  return [session ?? null, rest];
}

/** On a member every call with an ordinary session is answered with the coordinator's address. */
function checkSession(pool: Pool, host: Host, message: Message, session: Rpc | null): string {
  const localLogin = message.full === 'session.slave_local_login_with_password';
  if (host !== pool.coordinator && !localLogin) throw slaveError(pool);
  if (session?.kind !== 'string') return 'OpaqueRef:NULL';
  pool.sessions.check(session.text);
  return session.text;
}

function slaveError(pool: Pool): ApiError {
  return new ApiError('HOST_IS_SLAVE', pool.coordinator.address);
}

function internalOnly(message: Message): ApiError {
  const denied = message.owner === 'VDI' || message.owner === 'SR';
  return denied
    ? new ApiError('PERMISSION_DENIED', '')
    : internalError(`Permission denied: ${message.full} is for hosts of the pool only`);
}

function count(pool: Pool, message: Message): void {
  const { calls } = pool.counters;
  calls[message.full] = (calls[message.full] ?? 0) + 1;
}

async function runMessage(run: Run): Promise<Reply> {
  const { pool, message, request } = run;
  const effect = pool.faults.take({
    method: message.full,
    objects: namesOf(pool, message, run.values),
    host: [request.host.ref, request.host.uuid, request.host.name, request.host.address],
  });
  markCarriedTask(run);
  if (run.runsAsync) return startTask(run, effect);
  const task = message.async ? transientTask(run) : `DummyRef:|${pool.random.uuid()}|${message.full}`;
  try {
    return await perform(run, task, effect);
  } finally {
    if (message.async) pool.tasks.drop(task);
  }
}

/** Whatever a rule may name the first object of a call by: its ref, uuid and name. */
function namesOf(pool: Pool, message: Message, values: readonly Value[]): string[] {
  const names = values.filter((value) => typeof value === 'string');
  message.parameters.forEach(({ type }, index) => {
    const ref = values[index];
    if (type.kind !== 'ref' || typeof ref !== 'string' || !pool.db.exists(type.of, ref)) return;
    const row = pool.db.row(type.of, ref);
    for (const field of ['uuid', 'name_label']) if (typeof row[field] === 'string') names.push(row[field]);
  });
  return names;
}

/** A task named by the header stays pending; all that is seen of it is that it could be cancelled. */
function markCarriedTask({ pool, request }: Run): void {
  const { taskId } = request;
  if (taskId !== null && pool.tasks.isPending(taskId))
    pool.db.set('task', taskId, 'allowed_operations', ['cancel']);
}

/** Calls that could run in the background have a task in the database while they run, visible to event listeners. */
function transientTask({ pool, message, session, request }: Run): string {
  return pool.tasks.create({ label: message.full, sessionRef: session, hostRef: request.host.ref });
}

async function perform(run: Run, task: string, effect: FaultEffect | null): Promise<Reply> {
  const early = await applyFault(run, effect);
  if (early !== null) return early;
  const { pool, request, message, session, values } = run;
  const call: Call = {
    pool,
    host: request.host,
    session,
    task,
    method: message.full,
    signal: request.signal,
    args: new Arguments(values),
  };
  const result = await findHandler(pool.model, message)(call);
  if (effect?.kind === 'after') {
    const late = await applyFault(run, effect.effect);
    if (late !== null) return late;
  }
  return reply(message, result);
}

function reply(message: Message, result: Result): Reply {
  const type = message.result;
  if (type.kind === 'record' && type.of === 'event_batch')
    return { kind: 'batch', batch: result as EventBatch };
  if (type.kind === 'set' && type.of.kind === 'record' && type.of.of === 'event')
    return { kind: 'events', events: result as readonly EventRecord[] };
  return { kind: 'value', value: result as Value, type };
}

/** What a fault does before (or after) the work; null when the call goes on. */
async function applyFault(
  { pool, message, request }: Run,
  effect: FaultEffect | null,
): Promise<Reply | null> {
  switch (effect?.kind) {
    case 'error':
      throw new ApiError(effect.code, ...(effect.params ?? []));
    case 'delay':
      await pool.clock.sleep(effect.ms, request.signal);
      return null;
    case 'lie':
      return {
        kind: 'value',
        value: '',
        type: message.result.kind === 'ref' ? message.result : { kind: 'void' },
      };
    case 'hang':
    case 'stall':
      return { kind: 'silence', how: 'hang' };
    case 'cut':
      return { kind: 'silence', how: 'cut' };
    default:
      return null;
  }
}

/** The reply is the task's ref; what becomes of the call is seen in the task only. */
function startTask(run: Run, effect: FaultEffect | null): Reply {
  const { pool, message, request, session } = run;
  if (effect?.kind === 'cut' || effect?.kind === 'hang') return { kind: 'silence', how: effect.kind };
  const label = `Async.${message.full}`;
  const task = pool.tasks.create({ label, sessionRef: session, hostRef: request.host.ref });
  const background: Run = { ...run, request: { ...request, signal: pool.lifetime } };
  void finishTask(background, task, effect);
  return { kind: 'value', value: task, type: { kind: 'ref', of: 'task' } };
}

async function finishTask(run: Run, task: string, effect: FaultEffect | null): Promise<void> {
  const { pool } = run;
  try {
    const result = await perform(run, task, effect);
    if (result.kind === 'silence') return;
    const text =
      result.kind === 'value' && result.type.kind !== 'void'
        ? marshal(result.value, result.type, xmlWriter, pool.model)
        : '';
    pool.tasks.complete(task, text);
  } catch (error) {
    pool.tasks.fail(task, asApiError(error));
  }
}

function listMethods(pool: Pool): string[] {
  return [...pool.model.classes.values()].flatMap((owner) =>
    [...owner.messages.values()].map((message) => message.full),
  );
}
