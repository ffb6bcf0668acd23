import { CopierError, type ByteSource } from './copier';
import { TAR_RECORD_BYTES } from './tar-writer';

/** Descriptions are some megabytes at most, chunks one: a larger member is a broken or hostile archive. */
const LARGEST_MEMBER_BYTES = 64 * 1024 * 1024;

export interface TarMember {
  readonly name: string;
  readonly sizeBytes: number;
}

/** Members of a tar as they come; the data of a member must be read before the next one is asked for. */
export class TarReader {
  constructor(private readonly source: ByteSource) {}

  /** Null at the end of the archive: an empty record, or the end of the stream. */
  async next(): Promise<TarMember | null> {
    const header = Buffer.alloc(TAR_RECORD_BYTES);
    const count = await this.source.read(header);
    if (count === 0 || header.every((byte) => byte === 0)) return null;
    if (count < header.length) throw new PrematureEndError();
    const member = { name: text(header, 0, 100), sizeBytes: parseInt(text(header, 124, 12), 8) };
    if (!(member.sizeBytes <= LARGEST_MEMBER_BYTES)) {
      throw new CopierError(
        `member ${member.name} of the archive has an impossible size of ${member.sizeBytes}`,
      );
    }
    return member;
  }

  /** The data of a member, and the padding behind it. */
  async data(member: TarMember, target: Buffer): Promise<Buffer> {
    const data =
      target.length >= member.sizeBytes
        ? target.subarray(0, member.sizeBytes)
        : Buffer.alloc(member.sizeBytes);
    if ((await this.source.read(data)) < data.length) throw new PrematureEndError();
    const padding = Buffer.alloc(-member.sizeBytes & (TAR_RECORD_BYTES - 1));
    if ((await this.source.read(padding)) < padding.length) throw new PrematureEndError();
    return data;
  }
}

/** The stream ended inside an archive. */
export class PrematureEndError extends CopierError {
  readonly code = 'IMPORT_ERROR_PREMATURE_EOF';
  readonly params: readonly string[] = [];
  constructor() {
    super('the archive ended early');
  }
}

function text(header: Buffer, from: number, length: number): string {
  return header.toString('latin1', from, from + length).replace(/[\0 ].*$/s, '');
}
