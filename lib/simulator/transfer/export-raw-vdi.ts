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
import { BodyWriter } from './body-writer';
import { ConnectionLostError } from './connection';
import { CopierError } from './copier';
import { writeChunks } from './disk-chunks';
import { openDiskSource, withoutLastBlock, type DiskSource } from './disk-source';
import { passesBeginning } from './faults';
import { failureText, internalErrorPage, missingText, okHead } from './http-messages';
import type {
  TransferFault,
  TransferOutcome,
  TransferPool,
  TransferRequest,
  TransferTask,
  TransferVdi,
} from './pool-side';
import { TarWriter } from './tar-writer';
import { writeRaw, writeVhd } from './vhd-stream';

const CLOSED: TransferOutcome = { connection: 'closed' };
const LABEL = 'VDI.export_raw_vdi';
const LARGEST_VHD_BYTES = 2040 * 1024 ** 3;

const CONTENT_TYPES = {
  raw: 'application/octet-stream',
  vhd: 'application/vhd',
  tar: 'application/x-tar',
} as const;

type Format = keyof typeof CONTENT_TYPES;

/**
 * GET /export_raw_vdi: `200 OK` before anything is known, no length, the body ends with the connection. A failure after that puts
 * an error page into the body.
 */
export async function serveExportRawVdi(
  request: TransferRequest,
  pool: TransferPool,
): Promise<TransferOutcome> {
  const visitor = await admit(request, pool, { realm: 'get_export_raw_vdi', label: LABEL });
  if (visitor === null) return CLOSED;
  visitor.connection.ignoreInput();
  try {
    await exportFor(visitor);
    return CLOSED;
  } finally {
    visitor.session.end();
  }
}

async function exportFor(visitor: Visitor): Promise<void> {
  const { parameters, connection, pool } = visitor;
  const name = parameters.get('vdi');
  if (name === null) {
    return say(connection, internalErrorPage('Failure("Missing vdi query parameter")'));
  }
  const vdi = await vdiOf(visitor, name);
  if (vdi === null || !(await reachesSr(visitor, vdi.srRef, LABEL))) return;
  const task = await taskOf(visitor, LABEL);
  if (task === null) return;
  const named = parameters.get('format') ?? 'raw';
  const format = formatOf(named, pool);
  if (format === null) return refuse(visitor, task, 404, `Unknown format ${named}`);
  if (format === 'vhd' && vdi.sizeBytes > LARGEST_VHD_BYTES && pool.apiMinor >= 12) {
    return fail(
      visitor,
      task,
      thrownAs({ code: 'VDI_TOO_LARGE', params: [vdi.ref, `${LARGEST_VHD_BYTES}`] }),
    );
  }
  await send(visitor, task, vdi, format);
}

async function send(visitor: Visitor, task: TransferTask, vdi: TransferVdi, format: Format): Promise<void> {
  const { pool, connection, request, parameters } = visitor;
  const fault = pool.takeFault({
    transfer: 'export',
    object: [vdi.ref, vdi.uuid, vdi.name],
    host: request.host,
  });
  if (!(await passesBeginning(connection, fault, pool))) return connection.finish();
  const head = okHead('1.1', [
    `task-id:${task.ref}`,
    `content-type:${CONTENT_TYPES[format]}`,
    `content-disposition: attachment; filename="${vdi.uuid}.${format}"`,
  ]);
  const early = pool.apiMinor >= 20;
  try {
    if (early) await connection.send(head);
    if (fault?.kind === 'error')
      throw thrownAs({ code: fault.code, params: fault.params ?? IO_ERROR.params });
    const named = parameters.get('base');
    const base = named === null ? null : baseOf(pool, named);
    await whileAttached(visitor, 'RO', base === null ? [vdi] : [vdi, base], async () => {
      if (!early) await connection.send(head);
      await stream(visitor, task, openDiskSource(pool, vdi, base), format, fault);
    });
    task.complete('');
    task.release();
    await connection.finish();
  } catch (error) {
    await fail(visitor, task, error);
  }
}

async function stream(
  visitor: Visitor,
  task: TransferTask,
  disk: DiskSource,
  format: Format,
  fault: TransferFault | null,
): Promise<void> {
  const { pool, connection } = visitor;
  const sink = new BodyWriter(connection, fault, pool);
  const source = fault?.kind === 'lie' ? withoutLastBlock(disk) : disk;
  const progress = (fraction: number): void => task.setProgress(Math.floor(fraction * 100) / 100);
  if (format === 'vhd') await writeVhd(source, uuidBytes(pool.newUuid()), sink, progress);
  else if (format === 'raw') await writeRaw(source, sink, progress);
  else {
    const tar = new TarWriter(sink);
    await writeChunks(source, 'vdi', tar, 'xxhash', progress);
    await tar.end();
  }
  if (fault?.kind === 'late-failure') throw new CopierError('a late failure was asked for');
}

/** The base is looked up after the answer went out: an unknown one is an error page inside a `200`. */
function baseOf(pool: TransferPool, name: string): TransferVdi {
  const base = pool.findVdi(name);
  if (base === null) throw new UnknownBaseError(name);
  return base;
}

class UnknownBaseError extends Error {
  readonly code = 'UUID_INVALID';
  readonly params: readonly string[];
  constructor(readonly given: string) {
    super(`no VDI ${given} to compare with`);
    this.params = ['VDI', given];
  }
}

function formatOf(named: string, pool: TransferPool): Format | null {
  const format = named.toLowerCase();
  if (format === 'tar') return pool.apiMinor >= 12 ? 'tar' : null;
  return format === 'raw' || format === 'vhd' ? format : null;
}

async function fail(visitor: Visitor, task: TransferTask, error: unknown): Promise<void> {
  const failure = error instanceof ConnectionLostError ? IO_ERROR : asFailure(error);
  task.fail(failure);
  task.release();
  const text = error instanceof UnknownBaseError ? missingText('VDI', error.given) : failureText(failure);
  await say(visitor.connection, internalErrorPage(text));
}

function uuidBytes(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}
