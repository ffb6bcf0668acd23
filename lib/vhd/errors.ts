/**
 * What is wrong with a VHD. The set is closed, so that callers can decide on it:
 *
 * - `bad-cookie`, `bad-checksum`, `bad-version`, `bad-header`: a footer or header is not what the format says
 * - `bad-size`: a disk size that is no multiple of 512, or beyond the 2040 GiB of the format
 * - `size-mismatch`: a good image, but of a disk of another size than expected
 * - `bad-table`: the block allocation table contradicts itself or the header
 * - `footer-mismatch`: the last footer is good, but speaks of another image than the first one
 * - `truncated`: the stream ended too early; `trailing-data`: it went on after the last footer
 * - `old-footer`: footers of 511 bytes, as written before 2004
 * - `unsupported`: a kind of image that is known and not read (or not asked for)
 * - `bad-input`: the encoder was given something that it cannot encode
 */
export type VhdErrorCode =
  | 'bad-cookie'
  | 'bad-checksum'
  | 'bad-version'
  | 'bad-header'
  | 'bad-size'
  | 'size-mismatch'
  | 'bad-table'
  | 'footer-mismatch'
  | 'truncated'
  | 'trailing-data'
  | 'old-footer'
  | 'unsupported'
  | 'bad-input';

/** A VHD that cannot be read or written; the only error class of this folder. */
export class VhdError extends Error {
  override readonly name = 'VhdError';

  /**
   * @param offsetBytes position in the stream where the fault was seen (where garbage starts, or where the
   *   stream ended)
   * @param serverMessage status line of an HTTP error that stands in the place of VHD bytes, when one was seen:
   *   a server that fails after its headers were sent appends a second answer to the body
   */
  constructor(
    readonly code: VhdErrorCode,
    readonly offsetBytes: number,
    message: string,
    readonly serverMessage: string | null = null,
  ) {
    super(message);
  }
}
