import { Connection } from './connection';
import {
  bareHead,
  failureText,
  forbiddenPage,
  internalErrorPage,
  missingText,
  redirectHead,
  unauthorisedPage,
} from './http-messages';
import { isCopierFailure } from './copier';
import type {
  ApiFailure,
  Attachment,
  TransferPool,
  TransferRequest,
  TransferSession,
  TransferTask,
  TransferVdi,
} from './pool-side';
import { RequestParameters } from './request-parameters';

/** A request that may go on: who asks, what, over which connection. */
export interface Visitor {
  readonly request: TransferRequest;
  readonly pool: TransferPool;
  readonly parameters: RequestParameters;
  readonly connection: Connection;
  readonly session: TransferSession;
}

/** Everything that goes wrong in the copying process has this one name. */
export const IO_ERROR: ApiFailure = { code: 'VDI_IO_ERROR', params: ['Device I/O errors'] };

/**
 * Checks the credentials; answers 401 or 403 itself and gives null then. The task of the request is not looked at before: after a
 * 401 it stays pending for good.
 */
export async function admit(
  request: TransferRequest,
  pool: TransferPool,
  names: { readonly realm: string; readonly label: string },
): Promise<Visitor | null> {
  const parameters = new RequestParameters(request);
  const connection = new Connection(request.socket, request.buffered, request.host.line);
  const credentials = parameters.credentials();
  const answer = credentials === null ? null : pool.authenticate(credentials, request.host);
  if (answer?.verdict === 'accepted') {
    return { request, pool, parameters, connection, session: answer.session };
  }
  if (answer?.verdict === 'forbidden') {
    const task = await taskOf(
      { request, pool, parameters, connection, session: answer.session },
      names.label,
    );
    task?.fail(answer.failure);
    task?.release();
    answer.session.end();
    if (task !== null) await say(connection, forbiddenPage());
  } else {
    await say(connection, unauthorisedPage(names.realm));
  }
  return null;
}

/** The task of the request, or a new one; null when `task_id` names none, which is answered here. */
export async function taskOf(visitor: Visitor, label: string): Promise<TransferTask | null> {
  const { parameters, pool, session, request } = visitor;
  try {
    return pool.openTask({
      taskRef: parameters.cookieFirst('task_id'),
      subtaskOf: parameters.get('subtask_of'),
      label,
      session,
      host: request.host,
    });
  } catch (error) {
    await say(visitor.connection, internalErrorPage(failureText(asFailure(error))));
    return null;
  }
}

/** The VDI that the request names. Null after the answer was given: the page of an unknown object; the task stays pending. */
export async function vdiOf(visitor: Visitor, name: string): Promise<TransferVdi | null> {
  const vdi = visitor.pool.findVdi(name);
  if (vdi === null) await say(visitor.connection, internalErrorPage(missingText('VDI', name)));
  return vdi;
}

/**
 * True when the host that got the request has the SR plugged. Else the client is sent to one that has, with its task untouched;
 * without any such host the request fails.
 */
export async function reachesSr(visitor: Visitor, srRef: string, label: string): Promise<boolean> {
  const { pool, request, connection } = visitor;
  const hosts = pool.hostsThatSee(srRef);
  if (hosts.some((host) => host.ref === request.host.ref)) return true;
  const [other] = hosts;
  if (other !== undefined) await say(connection, redirectHead(other.address, request.target));
  else {
    const failure = { code: 'NO_HOSTS_AVAILABLE', params: [] };
    const task = await taskOf(visitor, label);
    task?.fail(failure);
    task?.release();
    if (task !== null) await say(connection, internalErrorPage(failureText(failure)));
  }
  return false;
}

/** Fails the task and answers with a status that has no body. */
export async function refuse(
  visitor: Visitor,
  task: TransferTask,
  status: 400 | 404,
  reason: string,
): Promise<void> {
  task.fail({ code: 'INTERNAL_ERROR', params: [reason] });
  task.release();
  await say(visitor.connection, bareHead('1.0', status));
}

/** Sends a last message and ends the connection. */
export async function say(connection: Connection, message: string): Promise<void> {
  await connection.sendIfOpen(message);
  await connection.finish();
}

/** Attaches VDIs in order, does the work, and detaches them in any case: a VBD left behind would block the disk for good. */
export async function whileAttached<T>(
  visitor: Visitor,
  mode: 'RO' | 'RW',
  vdis: readonly TransferVdi[],
  work: () => Promise<T>,
): Promise<T> {
  const attached: Attachment[] = [];
  try {
    for (const vdi of vdis) attached.push(await visitor.pool.attach(vdi, visitor.request.host, mode));
    return await work();
  } finally {
    for (const attachment of attached.reverse()) await attachment.detach();
  }
}

/** The error that the task of a transfer ends with. */
export function asFailure(error: unknown): ApiFailure {
  if (isApiFailure(error)) return error;
  if (isCopierFailure(error)) return IO_ERROR;
  return { code: 'INTERNAL_ERROR', params: [error instanceof Error ? error.message : String(error)] };
}

/** An API failure to throw. */
export function thrownAs(failure: ApiFailure): Error {
  return Object.assign(new Error(failureText(failure)), failure);
}

function isApiFailure(error: unknown): error is ApiFailure {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    'params' in error &&
    Array.isArray(error.params)
  );
}
