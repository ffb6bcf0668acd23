import type { Connection } from '../transfer/connection';
import { ConnectionLostError } from '../transfer/connection';
import { damage, passesBeginning } from '../transfer/faults';
import type { TransferFault, TransferHost, TransferPool, TransferVdi } from '../transfer/pool-side';
import { readExactly } from './nbd-negotiation';

const REQUEST_MAGIC = 0x25609513;
const REPLY_MAGIC = 0x67446698;
const REQUEST_BYTES = 28;
const COMMAND = { read: 0, write: 1, disconnect: 2 } as const;
const ERROR = { notPermitted: 1, invalid: 22 } as const;
/** HAS_FLAGS and READ_ONLY: no flush, no trim, no block status. */
const EXPORT_FLAGS = 0x0003;
const PIECE_BYTES = 512 * 1024;
const SECTOR_BYTES = 512;

/** The disk that an export name asks for: `/<VDI uuid>?session_id=<session>`. Null: the connection is closed without a word. */
export function openExport(name: string, host: TransferHost, pool: TransferPool): TransferVdi | null {
  if (!name.startsWith('/')) return null;
  const [path = '', query = ''] = name.slice(1).split('?');
  const session = new URLSearchParams(query).get('session_id');
  if (session === null) return null;
  const answer = pool.authenticate({ kind: 'session', ref: session }, host);
  const vdi = answer.verdict === 'accepted' ? pool.findVdi(path) : null;
  return vdi?.uuid === path ? vdi : null;
}

/** Attaches the disk read-only for as long as the client stays, and answers its commands one after the other. */
export async function serveCommands(
  connection: Connection,
  vdi: TransferVdi,
  host: TransferHost,
  pool: TransferPool,
): Promise<void> {
  const fault = pool.takeFault({ transfer: 'nbd', object: [vdi.ref, vdi.uuid, vdi.name], host });
  if (fault?.kind === 'error' || !(await passesBeginning(connection, fault, pool))) return;
  // A disk that cannot be attached closes the connection like an unknown one.
  const attachment = await pool.attach(vdi, host, 'RO').catch(() => null);
  if (attachment === null) return;
  try {
    await connection.send(exportHead(vdi.sizeBytes));
    const data = new DataPhase(connection, vdi, fault, pool);
    while (await answerOne(connection, vdi, data)) continue;
  } finally {
    if (fault?.kind === 'linger') await pool.clock.sleep(fault.ms, pool.closing).catch(() => undefined);
    await attachment.detach();
  }
}

/** False: the client disconnected, or did what ends the connection. */
async function answerOne(connection: Connection, vdi: TransferVdi, data: DataPhase): Promise<boolean> {
  const request = await readExactly(connection, REQUEST_BYTES);
  const handle = request.subarray(8, 16);
  const offset = Number(request.readBigUInt64BE(16));
  const length = request.readUInt32BE(24);
  const command = request.readUInt16BE(6);
  if (request.readUInt32BE(0) !== REQUEST_MAGIC || command === COMMAND.disconnect) return false;
  if (command !== COMMAND.read) {
    await connection.send(reply(handle, command === COMMAND.write ? ERROR.notPermitted : ERROR.invalid));
    return false;
  }
  if (offset % SECTOR_BYTES !== 0 || length % SECTOR_BYTES !== 0) {
    await connection.send(reply(handle, ERROR.invalid));
    return false;
  }
  if (offset + length > vdi.sizeBytes) return false;
  await connection.send(reply(handle, 0));
  await data.send(offset, length);
  return true;
}

/** Content on its way to the client, with a fault at a byte of it. */
class DataPhase {
  #sent = 0;
  readonly #limit: number;

  constructor(
    private readonly connection: Connection,
    private readonly vdi: TransferVdi,
    private readonly fault: TransferFault | null,
    private readonly pool: TransferPool,
  ) {
    this.#limit = fault !== null && 'afterBytes' in fault ? fault.afterBytes : Infinity;
  }

  async send(offset: number, length: number): Promise<void> {
    for (let done = 0; done < length;) {
      const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, length - done));
      if (this.fault?.kind === 'lie') piece.fill(0);
      else await this.vdi.store.readInto(this.vdi.imageId, offset + done, piece);
      if (this.fault?.kind === 'corrupt') damage(piece, this.fault.atByte - this.#sent);
      const allowed = Math.min(piece.length, this.#limit - this.#sent);
      await this.connection.send(piece.subarray(0, allowed));
      this.#sent += allowed;
      this.pool.countBytes('export', allowed);
      if (allowed < piece.length) await this.#strike();
      done += piece.length;
    }
  }

  async #strike(): Promise<never> {
    if (this.fault?.kind === 'stall') await this.connection.stall(this.pool.closing);
    this.connection.cut();
    throw new ConnectionLostError();
  }
}

function exportHead(sizeBytes: number): Buffer {
  // The client cannot switch the 124 zeros off: the server does not know NO_ZEROES.
  const head = Buffer.alloc(8 + 2 + 124);
  head.writeBigUInt64BE(BigInt(sizeBytes), 0);
  head.writeUInt16BE(EXPORT_FLAGS, 8);
  return head;
}

function reply(handle: Buffer, error: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(REPLY_MAGIC, 0);
  bytes.writeUInt32BE(error, 4);
  handle.copy(bytes, 8);
  return bytes;
}
