import { admit, asFailure, IO_ERROR, say, taskOf, thrownAs, whileAttached, type Visitor } from './admission';
import { BodyWriter } from './body-writer';
import { compressedSink, type EndingSink } from './compression';
import { ConnectionLostError } from './connection';
import { CopierError } from './copier';
import { writeChunks } from './disk-chunks';
import { openDiskSource, withoutLastBlock } from './disk-source';
import { passesBeginning } from './faults';
import { failureText, internalErrorPage, okHead, redirectHead } from './http-messages';
import { archiveIds, ovaXml } from './ova';
import type {
  TransferFault,
  TransferHost,
  TransferOutcome,
  TransferPool,
  TransferRequest,
  TransferTask,
  VmExport,
} from './pool-side';
import { TarWriter } from './tar-writer';

const CLOSED: TransferOutcome = { connection: 'closed' };
const LABEL = 'VM.export';

/**
 * GET /export and /export_metadata: a tar of `ova.xml` and the disks in chunks of 1 MiB. An unknown VM closes the connection without
 * a byte; a failure after the head puts an error page into the stream.
 */
export async function serveExport(request: TransferRequest, pool: TransferPool): Promise<TransferOutcome> {
  const metadataOnly = request.path === '/export_metadata';
  const realm = metadataOnly ? 'get_export_metadata' : 'get_export';
  const visitor = await admit(request, pool, { realm, label: LABEL });
  if (visitor === null) return CLOSED;
  visitor.connection.ignoreInput();
  try {
    await exportFor(visitor, metadataOnly);
    return CLOSED;
  } finally {
    visitor.session.end();
  }
}

async function exportFor(visitor: Visitor, metadataOnly: boolean): Promise<void> {
  const { parameters, connection, pool, request, session } = visitor;
  const vm = parameters.get('ref') ?? parameters.get('uuid');
  if (vm === null) return say(connection, internalErrorPage('Not_found'));
  const task = await taskOf(visitor, LABEL);
  if (task === null) return;
  let exported: VmExport;
  try {
    exported = await pool.beginVmExport({ vm, metadataOnly, query: request.query, task, session });
  } catch (error) {
    return refuse(visitor, task, error);
  }
  try {
    const elsewhere = hostThatSeesAll(visitor, exported);
    if (elsewhere !== null) {
      await say(connection, redirectHead(elsewhere.address, request.target));
      return;
    }
    if (metadataOnly) await sendMetadata(visitor, task, exported);
    else await send(visitor, task, exported);
    task.complete('');
    task.release();
    await connection.finish();
  } catch (error) {
    const failure = error instanceof ConnectionLostError ? IO_ERROR : asFailure(error);
    task.fail(failure);
    task.release();
    await say(connection, internalErrorPage(failureText(failure)));
  } finally {
    exported.end();
  }
}

/** A VM that nobody knows is a VM that no host can export. */
async function refuse(visitor: Visitor, task: TransferTask, error: unknown): Promise<void> {
  const given = asFailure(error);
  const unknown = ['HANDLE_INVALID', 'UUID_INVALID', 'NO_HOSTS_AVAILABLE'].includes(given.code);
  task.fail(unknown ? { code: 'NO_HOSTS_AVAILABLE', params: [] } : given);
  task.release();
  if (unknown) await visitor.connection.finish();
  else await say(visitor.connection, internalErrorPage(failureText(given)));
}

/** Null when this host sees all disks, else one that does. Throws when there is none. */
function hostThatSeesAll(visitor: Visitor, exported: VmExport): TransferHost | null {
  const seen = exported.disks.map((disk) => visitor.pool.hostsThatSee(disk.srRef));
  const everywhere = (host: TransferHost): boolean =>
    seen.every((hosts) => hosts.some((one) => one.ref === host.ref));
  if (everywhere(visitor.request.host)) return null;
  const other = (seen[0] ?? []).find(everywhere);
  if (other === undefined) throw thrownAs({ code: 'NO_HOSTS_AVAILABLE', params: [] });
  return other;
}

async function send(visitor: Visitor, task: TransferTask, exported: VmExport): Promise<void> {
  const { pool, connection, request, parameters } = visitor;
  const fault = pool.takeFault({
    transfer: 'export',
    object: [exported.vmRef, exported.vmUuid],
    host: request.host,
  });
  if (!(await passesBeginning(connection, fault, pool))) throw new ConnectionLostError();
  await connection.send(head(task, []));
  if (fault?.kind === 'error') throw thrownAs({ code: fault.code, params: fault.params ?? IO_ERROR.params });
  const sink = compressedSink(new BodyWriter(connection, fault, pool), parameters.get('use_compression'));
  await writeArchive(visitor, task, exported, sink, fault);
  if (fault?.kind === 'late-failure') throw new CopierError('a late failure was asked for');
}

async function writeArchive(
  visitor: Visitor,
  task: TransferTask,
  exported: VmExport,
  sink: EndingSink,
  fault: TransferFault | null,
): Promise<void> {
  const { pool } = visitor;
  const ids = archiveIds(exported.objects);
  const tar = new TarWriter(sink);
  await tar.member('ova.xml', ovaBytes(exported), Math.floor(pool.clock.now() / 1000));
  for (const [index, vdi] of exported.disks.entries()) {
    await whileAttached(visitor, 'RO', [vdi], async () => {
      const disk = openDiskSource(pool, vdi, null);
      const source = fault?.kind === 'lie' ? withoutLastBlock(disk) : disk;
      const sum = pool.apiMinor >= 20 ? 'xxhash' : 'checksum';
      await writeChunks(source, ids.get(vdi.ref) ?? vdi.ref, tar, sum, (fraction) => {
        // Unlike disk transfers this one looks whether it was cancelled.
        if (task.cancelRequested()) throw thrownAs({ code: 'TASK_CANCELLED', params: [task.ref] });
        task.setProgress((index + fraction) / exported.disks.length);
      });
    });
  }
  await tar.end();
  await sink.end();
}

/** Records only: small enough to know its length beforehand. */
async function sendMetadata(visitor: Visitor, task: TransferTask, exported: VmExport): Promise<void> {
  const parts: Uint8Array[] = [];
  const tar = new TarWriter({
    write(bytes) {
      parts.push(bytes);
      return Promise.resolve();
    },
  });
  await tar.member('ova.xml', ovaBytes(exported), Math.floor(visitor.pool.clock.now() / 1000));
  await tar.end();
  const body = Buffer.concat(parts);
  await visitor.connection.send(head(task, [`Content-Length: ${body.length}`]));
  await visitor.connection.send(body);
}

function ovaBytes(exported: VmExport): Buffer {
  return Buffer.from(ovaXml(exported.version, exported.objects), 'utf8');
}

function head(task: TransferTask, lines: readonly string[]): string {
  return okHead('1.0', [
    `task-id: ${task.ref}`,
    'Server: xapi/0.0',
    'content-type: application/octet-stream',
    ...lines,
    'Content-Disposition: attachment; filename="export.xva"',
  ]);
}
