import type { Connection } from '../transfer/connection';
import { ConnectionLostError } from '../transfer/connection';

const OPTION_MAGIC = Buffer.from('IHAVEOPT', 'latin1');
const REPLY_MAGIC = 0x0003e889045565a9n;
const OPTION = { exportName: 1, abort: 2, list: 3, startTls: 5 } as const;
const REPLY = {
  ack: 1,
  unsupported: 0x80000001,
  policy: 0x80000002,
  invalid: 0x80000003,
  tlsRequired: 0x80000005,
};
/** A longer option cannot be a name: the client is not one of ours. */
const LONGEST_OPTION_BYTES = 16 * 1024;

/** What follows from an option: answered, go on; switch to TLS; serve an export; close. */
export type Step =
  { readonly kind: 'answered' | 'start-tls' | 'end' } | { readonly kind: 'export'; readonly name: string };

/** Fixed newstyle, without NO_ZEROES. */
export function greeting(): Buffer {
  return Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT', 'latin1'), Buffer.from([0, 1])]);
}

/** The option phase: EXPORT_NAME, ABORT, STARTTLS and refusals. INFO, GO and all newer options are unknown to the real server. */
export class Negotiation {
  #secure = false;

  constructor(private readonly tlsForced: boolean) {}

  async readClientFlags(connection: Connection): Promise<void> {
    await readExactly(connection, 4);
  }

  async nextStep(connection: Connection): Promise<Step> {
    const head = await readExactly(connection, 16);
    const length = head.readUInt32BE(12);
    if (!head.subarray(0, 8).equals(OPTION_MAGIC) || length > LONGEST_OPTION_BYTES) return { kind: 'end' };
    const option = head.readUInt32BE(8);
    const data = await readExactly(connection, length);
    const reply = (type: number): Promise<void> => connection.send(replyTo(option, type));
    if (this.tlsForced && !this.#secure) return this.#beforeTls(option, reply);
    switch (option) {
      case OPTION.exportName:
        return { kind: 'export', name: data.toString('utf8') };
      case OPTION.abort:
        await reply(REPLY.ack);
        return { kind: 'end' };
      case OPTION.list:
        await reply(REPLY.policy);
        return { kind: 'answered' };
      case OPTION.startTls:
        await reply(this.#secure ? REPLY.invalid : REPLY.policy);
        return { kind: 'answered' };
      default:
        await reply(REPLY.unsupported);
        return { kind: 'answered' };
    }
  }

  async #beforeTls(option: number, reply: (type: number) => Promise<void>): Promise<Step> {
    if (option === OPTION.startTls) {
      await reply(REPLY.ack);
      this.#secure = true;
      return { kind: 'start-tls' };
    }
    if (option === OPTION.exportName || option === OPTION.abort) return { kind: 'end' };
    await reply(REPLY.tlsRequired);
    return { kind: 'answered' };
  }
}

/** ConnectionLostError when the client is gone before. */
export async function readExactly(connection: Connection, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  if ((await connection.read(bytes)) < length) throw new ConnectionLostError();
  return bytes;
}

function replyTo(option: number, type: number): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeBigUInt64BE(REPLY_MAGIC, 0);
  bytes.writeUInt32BE(option, 8);
  bytes.writeUInt32BE(type, 12);
  return bytes;
}
