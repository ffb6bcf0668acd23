import {
  admit,
  asFailure,
  IO_ERROR,
  reachesSr,
  say,
  taskOf,
  thrownAs,
  whileAttached,
  type Visitor,
} from './admission';
import { uncompressedSource } from './compression';
import { CopierError, deviceOf, isCopierFailure, lyingDevice, type BlockDevice } from './copier';
import { CHUNK_BYTES } from './disk-chunks';
import { faultySource, passesBeginning } from './faults';
import { bareHead, failureText, internalErrorPage, missingText, okHead } from './http-messages';
import type {
  TransferFault,
  TransferOutcome,
  TransferPool,
  TransferRequest,
  TransferSr,
  TransferTask,
  TransferVdi,
  VmImport,
} from './pool-side';
import { PrematureEndError, TarReader, type TarMember } from './tar-reader';
import { chunkSum, type ChunkSum } from './tar-writer';

const CLOSED: TransferOutcome = { connection: 'closed' };
const LABEL = 'VM.import';

/**
 * PUT /import and /import_metadata: a tar as {@link serveExport} writes it, plain, gzip or zstd. As with disks the `200` comes first and
 * the outcome is in the task; unlike with disks, everything made so far is removed when it fails.
 */
export async function serveImport(request: TransferRequest, pool: TransferPool): Promise<TransferOutcome> {
  const metadataOnly = request.path === '/import_metadata';
  const realm = metadataOnly ? 'put_import_metadata' : 'put_import';
  const visitor = await admit(request, pool, { realm, label: LABEL });
  if (visitor === null) return CLOSED;
  try {
    await importFor(visitor, metadataOnly);
    return CLOSED;
  } finally {
    visitor.session.end();
  }
}

async function importFor(visitor: Visitor, metadataOnly: boolean): Promise<void> {
  const { parameters, connection, pool } = visitor;
  const named = parameters.cookieFirst('sr_id') ?? parameters.cookieFirst('sr_uuid');
  const sr = named === null ? pool.defaultSr() : pool.findSr(named);
  if (sr === null && named !== null) return say(connection, internalErrorPage(missingText('SR', named)));
  if (sr !== null && !metadataOnly && !(await reachesSr(visitor, sr.ref, LABEL))) return;
  const task = await taskOf(visitor, LABEL);
  if (task === null) return;
  try {
    if (parameters.header('transfer-encoding') !== null) {
      throw thrownAs({ code: 'IMPORT_ERROR_CANNOT_HANDLE_CHUNKED', params: [] });
    }
    if (sr === null && !metadataOnly) throw thrownAs({ code: 'DEFAULT_SR_NOT_FOUND', params: [''] });
    await receive(visitor, task, sr, metadataOnly);
  } catch (error) {
    const failure = asFailure(error);
    task.fail(failure);
    task.release();
    await say(connection, bareHead('1.1', 400) + internalErrorPage(failureText(failure)));
  }
}

async function receive(
  visitor: Visitor,
  task: TransferTask,
  sr: TransferSr | null,
  metadataOnly: boolean,
): Promise<void> {
  const { pool, connection, request } = visitor;
  const fault = pool.takeFault({
    transfer: 'import',
    object: sr === null ? [] : [sr.ref, sr.uuid],
    host: request.host,
  });
  if (!(await passesBeginning(connection, fault, pool))) return connection.finish();
  await connection.sendIfOpen(
    okHead('1.1', [`task-id:${task.ref}`, 'content-type: application/octet-stream']),
  );
  if (fault?.kind === 'error') throw thrownAs({ code: fault.code, params: fault.params ?? IO_ERROR.params });
  const tar = new TarReader(await uncompressedSource(faultySource(connection, fault, pool)));
  const imported = await beginImport(visitor, task, tar, sr, metadataOnly);
  try {
    task.addToOtherConfig('object_creation', 'complete');
    if (!metadataOnly) await readDisks(visitor, task, tar, imported, fault);
    if (fault?.kind === 'late-failure') throw new CopierError('a late failure was asked for');
    await imported.commit();
  } catch (error) {
    await imported.rollback();
    throw error;
  }
  const refs = imported.vmRefs.map((ref) => `<value>${ref}</value>`).join('');
  task.complete(`<value><array><data>${refs}</data></array></value>`);
  task.release();
  await connection.finish();
}

/** The archive must begin with its description; all objects are made from it before a disk is read. */
async function beginImport(
  visitor: Visitor,
  task: TransferTask,
  tar: TarReader,
  sr: TransferSr | null,
  metadataOnly: boolean,
): Promise<VmImport> {
  const { parameters, pool, request, session } = visitor;
  const first = await tar.next();
  if (first === null) throw new PrematureEndError();
  if (first.name !== 'ova.xml') {
    throw thrownAs({ code: 'IMPORT_ERROR_UNEXPECTED_FILE', params: ['ova.xml', first.name] });
  }
  const ovaXml = (await tar.data(first, Buffer.alloc(0))).toString('utf8');
  return pool.beginVmImport({
    ovaXml,
    srRef: sr?.ref ?? null,
    restore: parameters.get('restore') === 'true',
    force: parameters.get('force') === 'true',
    metadataOnly,
    query: request.query,
    task,
    session,
  });
}

/** Disks come one after the other; each is attached while its chunks arrive. */
async function readDisks(
  visitor: Visitor,
  task: TransferTask,
  tar: TarReader,
  imported: VmImport,
  fault: TransferFault | null,
): Promise<void> {
  let member = await tar.next();
  while (member !== null) {
    const { prefix } = placeOf(member);
    const vdi = imported.disks.get(prefix);
    if (vdi === undefined) {
      throw thrownAs({
        code: 'IMPORT_ERROR_UNEXPECTED_FILE',
        params: ['a disk of the archive', member.name],
      });
    }
    const first = member;
    member = await whileAttached(visitor, 'RW', [vdi], () => readDisk(task, tar, vdi, first, fault));
  }
}

/** Reads the chunks of one disk; gives the first member that belongs to something else. */
async function readDisk(
  task: TransferTask,
  tar: TarReader,
  vdi: TransferVdi,
  first: TarMember,
  fault: TransferFault | null,
): Promise<TarMember | null> {
  const device = fault?.kind === 'lie' ? lyingDevice(deviceOf(vdi)) : deviceOf(vdi);
  const reader = new ChunkReader(tar, device);
  const { prefix } = placeOf(first);
  try {
    let member: TarMember | null = first;
    while (member !== null && placeOf(member).prefix === prefix) {
      if (task.cancelRequested()) throw thrownAs({ code: 'TASK_CANCELLED', params: [task.ref] });
      await reader.take(member);
      task.setProgress(Math.min(1, reader.position / vdi.sizeBytes));
      member = await tar.next();
    }
    return member;
  } catch (error) {
    if (isCopierFailure(error) && !(error instanceof PrematureEndError)) throw thrownAs(IO_ERROR);
    throw error;
  } finally {
    vdi.store.settleCbt(vdi.imageId);
  }
}

/** Chunks of a disk and their sums. Chunks that are left out keep what the disk holds. */
export class ChunkReader {
  position = 0;
  readonly #buffer = Buffer.alloc(CHUNK_BYTES);
  readonly #sumText = Buffer.alloc(64);
  #chunkBytes = 0;
  #last: Buffer | null = null;

  constructor(
    private readonly tar: TarReader,
    private readonly device: BlockDevice,
  ) {}

  async take(member: TarMember): Promise<void> {
    const { number, sum } = placeOf(member);
    if (sum !== null) return this.#check(member, sum);
    const data = await this.tar.data(member, this.#buffer);
    // The first chunk says how long all others are; only the last of a disk may be shorter.
    this.#chunkBytes ||= data.length;
    await this.device.write(number * this.#chunkBytes, data);
    this.position = number * this.#chunkBytes + data.length;
    this.#last = data;
  }

  async #check(member: TarMember, sum: ChunkSum): Promise<void> {
    const told = (await this.tar.data(member, this.#sumText)).toString('latin1');
    if (this.#last !== null && told !== chunkSum(this.#last, sum)) {
      throw thrownAs({ code: 'IMPORT_ERROR_SOME_CHECKSUMS_FAILED', params: [] });
    }
  }
}

/** `Ref:4/00000002.xxhash` is the sum of chunk 2 of `Ref:4`. */
function placeOf(member: TarMember): { prefix: string; number: number; sum: ChunkSum | null } {
  const [, prefix = member.name, number = '', sum] =
    /^(.*)\/(\d{8,})(?:\.(xxhash|checksum))?$/.exec(member.name) ?? [];
  return { prefix, number: Number(number), sum: sum === 'xxhash' || sum === 'checksum' ? sum : null };
}
