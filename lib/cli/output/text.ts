/** Text as a terminal shows it: what may be printed, how wide it is, how it is cut. */

/**
 * Names come from pools, where anybody with a VM of his own may write them. A control character among them could
 * move the cursor, forge lines of a log, or set the title of the operator's terminal; each becomes U+FFFD.
 */
export function printable(text: string): string {
  // Controls, line separators, and the marks that turn the direction of a line.
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, '\ufffd');
}

/** Columns a text takes on a terminal. */
export function widthOf(text: string): number {
  return graphemes(text).reduce((sum, grapheme) => sum + widthOfGrapheme(grapheme), 0);
}

/** Cuts in the middle: of `customer-database-01` and `-02` both ends are needed to tell them apart. */
export function truncated(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width <= 1) return width === 1 ? '…' : '';
  const all = graphemes(text);
  const end = takeWhileFits(all.toReversed(), Math.floor((width - 1) / 2)).toReversed();
  const start = takeWhileFits(all, width - 1 - widthOf(end.join('')));
  return `${start.join('')}…${end.join('')}`;
}

export function padded(text: string, width: number, side: 'left' | 'right'): string {
  const blanks = ' '.repeat(Math.max(0, width - widthOf(text)));
  return side === 'left' ? text + blanks : blanks + text;
}

/** "1 disk", "2 disks" */
export function counted(count: number, noun: string): string {
  return `${String(count)} ${noun}${count === 1 ? '' : 's'}`;
}

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });

function graphemes(text: string): readonly string[] {
  if (/^[\x20-\x7e]*$/.test(text)) return text.split('');
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

/** East Asian wide characters and emoji take two columns. */
function widthOfGrapheme(grapheme: string): number {
  const wide =
    /^[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
  return wide.test(grapheme) ? 2 : 1;
}

function takeWhileFits(all: readonly string[], width: number): readonly string[] {
  let left = width;
  const taken: string[] = [];
  for (const grapheme of all) {
    left -= widthOfGrapheme(grapheme);
    if (left < 0) break;
    taken.push(grapheme);
  }
  return taken;
}
