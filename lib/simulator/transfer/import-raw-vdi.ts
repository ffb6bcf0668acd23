import {
  admit,
  asFailure,
  IO_ERROR,
  reachesSr,
  refuse,
  say,
  taskOf,
  thrownAs,
  vdiOf,
  whileAttached,
  type Visitor,
} from './admission';
import { CopierError, deviceOf, lyingDevice } from './copier';
import { faultySource, passesBeginning } from './faults';
import { copyFrames } from './frame-copier';
import { bareHead, failureText, internalErrorPage, missingText, okHead } from './http-messages';
import type {
  TransferFault,
  TransferOutcome,
  TransferPool,
  TransferRequest,
  TransferTask,
  TransferVdi,
} from './pool-side';
import { copyRaw } from './raw-copier';
import { copyVhd } from './vhd-copier';

const CLOSED: TransferOutcome = { connection: 'closed' };
const LABEL = 'VDI.import';

/** How the body is to be read. */
interface Upload {
  readonly format: 'raw' | 'vhd';
  readonly framed: boolean;
  readonly contentLength: number | null;
}

/**
 * PUT /import_raw_vdi: the answer is `200 OK` before a byte of the body was read; what became of it is only in the task. A failure
 * after that appends a 400 and an error page to the same connection, and leaves on the disk what was written.
 */
export async function serveImportRawVdi(
  request: TransferRequest,
  pool: TransferPool,
): Promise<TransferOutcome> {
  const visitor = await admit(request, pool, { realm: 'put_import_raw_vdi', label: LABEL });
  if (visitor === null) return CLOSED;
  try {
    return await importFor(visitor);
  } finally {
    visitor.session.end();
  }
}

async function importFor(visitor: Visitor): Promise<TransferOutcome> {
  const name = visitor.parameters.get('vdi');
  const sr = visitor.parameters.cookieFirst('sr_id') ?? visitor.parameters.cookieFirst('sr_uuid');
  if (name === null && sr === null) return nothingNamed(visitor);
  if (name === null && sr !== null) await importIntoSr(visitor, sr);
  else if (name !== null) await importIntoVdi(visitor, name);
  return CLOSED;
}

/** The server says 400 and goes on reading requests from the connection, although its answer says `close`. */
async function nothingNamed(visitor: Visitor): Promise<TransferOutcome> {
  const task = await taskOf(visitor, LABEL);
  if (task === null) return CLOSED;
  task.fail({ code: 'VDI_MISSING', params: [] });
  task.release();
  await visitor.connection.sendIfOpen(bareHead('1.1', 400));
  return { connection: 'next-request', buffered: visitor.connection.release() };
}

async function importIntoVdi(visitor: Visitor, name: string): Promise<void> {
  const vdi = await vdiOf(visitor, name);
  if (vdi === null || !(await reachesSr(visitor, vdi.srRef, LABEL))) return;
  const task = await taskOf(visitor, LABEL);
  if (task === null) return;
  const upload = await acceptedUpload(visitor, task);
  if (upload !== null) await receive(visitor, task, vdi, upload);
}

/** Makes a VDI of exactly the announced size and fills it. Only raw, only with Content-Length. */
async function importIntoSr(visitor: Visitor, name: string): Promise<void> {
  const sr = visitor.pool.findSr(name);
  if (sr === null) return say(visitor.connection, internalErrorPage(missingText('SR', name)));
  if (!(await reachesSr(visitor, sr.ref, LABEL))) return;
  const task = await taskOf(visitor, LABEL);
  if (task === null) return;
  const upload = await acceptedUpload(visitor, task);
  if (upload === null) return;
  if (upload.format !== 'raw') {
    return refuse(visitor, task, 400, 'Importing a VHD directly into an SR not yet supported');
  }
  if (upload.contentLength === null) return refuse(visitor, task, 400, 'Not enough info supplied to import');
  let vdi: TransferVdi;
  try {
    vdi = await visitor.pool.createImportedVdi(sr.ref, upload.contentLength);
  } catch (error) {
    return fail(visitor, task, error);
  }
  await receive(visitor, task, vdi, upload);
}

/** Null after a refusal. Letter case of the format does not matter, nor does the value of `chunked`. */
async function acceptedUpload(visitor: Visitor, task: TransferTask): Promise<Upload | null> {
  const { parameters } = visitor;
  const named = parameters.get('format') ?? 'raw';
  const format = named.toLowerCase();
  const framed = parameters.get('chunked') !== null;
  const coding = parameters.header('transfer-encoding');
  let refusal: string | null = null;
  if (format !== 'raw' && format !== 'vhd') refusal = `Unknown format ${named}`;
  else if (framed && format !== 'raw') refusal = 'Cannot handle chunked VHD';
  else if (coding !== null) refusal = `Cannot handle encoding: ${coding}`;
  if (refusal !== null) {
    await refuse(visitor, task, 404, refusal);
    return null;
  }
  return { format: format === 'vhd' ? 'vhd' : 'raw', framed, contentLength: parameters.contentLength() };
}

async function receive(
  visitor: Visitor,
  task: TransferTask,
  vdi: TransferVdi,
  upload: Upload,
): Promise<void> {
  const { pool, connection, request } = visitor;
  const fault = pool.takeFault({
    transfer: 'import',
    object: [vdi.ref, vdi.uuid, vdi.name],
    host: request.host,
  });
  if (!(await passesBeginning(connection, fault, pool))) return connection.finish();
  const head = okHead('1.1', [`task-id:${task.ref}`, 'content-type: application/octet-stream']);
  // Before xapi 21.4 the disk was attached first, so that a failure to attach was still an error status.
  const early = pool.apiMinor >= 20;
  try {
    if (early) await connection.sendIfOpen(head);
    if (fault?.kind === 'error')
      throw thrownAs({ code: fault.code, params: fault.params ?? IO_ERROR.params });
    await whileAttached(visitor, 'RW', [vdi], async () => {
      if (!early) await connection.sendIfOpen(head);
      await copy(visitor, task, vdi, upload, fault);
    });
    task.complete(pool.apiMinor >= 6 ? `<value>${vdi.ref}</value>` : '');
    task.release();
    await connection.finish();
  } catch (error) {
    await fail(visitor, task, error);
  }
}

async function copy(
  visitor: Visitor,
  task: TransferTask,
  vdi: TransferVdi,
  upload: Upload,
  fault: TransferFault | null,
): Promise<void> {
  const { pool, connection } = visitor;
  const source = faultySource(connection, fault, pool);
  const device = fault?.kind === 'lie' ? lyingDevice(deviceOf(vdi)) : deviceOf(vdi);
  // 6.5 did not look at Content-Length of raw uploads and wanted the whole disk.
  const announced = pool.apiMinor >= 5 ? upload.contentLength : null;
  const lengthBytes = announced ?? vdi.sizeBytes;
  const progress = (fraction: number): void => task.setProgress(fraction);
  try {
    if (!(lengthBytes > 0)) throw new CopierError('there is nothing to copy');
    if (upload.framed) await copyFrames(source, device);
    else if (upload.format === 'vhd') {
      if (!vdi.prezeroed) throw new CopierError('a VHD cannot go to a disk that may not be zeroed');
      await copyVhd(source, device, lengthBytes, progress);
    } else await copyRaw(source, device, { lengthBytes, whenCut: pool.cutRawUpload }, progress);
    if (fault?.kind === 'late-failure') throw new CopierError('a late failure was asked for');
  } finally {
    vdi.store.settleCbt(vdi.imageId);
  }
}

async function fail(visitor: Visitor, task: TransferTask, error: unknown): Promise<void> {
  const failure = asFailure(error);
  task.fail(failure);
  task.release();
  await say(visitor.connection, bareHead('1.1', 400) + internalErrorPage(failureText(failure)));
}
