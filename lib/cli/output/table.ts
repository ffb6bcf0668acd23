/** Tables in plain text: aligned columns, no lines drawn, readable in a log. */
import { padded, printable, truncated, widthOf } from './text';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** May be cut where the terminal is too narrow; at least this many columns stay. */
  readonly shrinkTo?: number;
}

const gap = '  ';

/**
 * One line per row, below one of titles.
 * @param width columns of the terminal; null prints everything in full, as for a file or a pipe
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | null,
): readonly string[] {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(printable))];
  const widths = fitted(
    columns,
    columns.map((_, index) => Math.max(...cells.map((row) => widthOf(row[index] ?? '')))),
    width,
  );
  return cells.map((row) =>
    columns
      .map(({ align = 'left' }, index) => {
        const columnWidth = widths[index] ?? 0;
        return padded(truncated(row[index] ?? '', columnWidth), columnWidth, align);
      })
      .join(gap)
      .trimEnd(),
  );
}

/** Takes from the widest column that may shrink, one by one, until the line fits or nothing more can be taken. */
function fitted(
  columns: readonly Column[],
  natural: readonly number[],
  width: number | null,
): readonly number[] {
  const widths = [...natural];
  if (width === null) return widths;
  const total = (): number => widths.reduce((sum, one) => sum + one, 0) + gap.length * (columns.length - 1);
  while (total() > width) {
    const candidates = columns.flatMap(({ shrinkTo }, index) => {
      const now = widths[index] ?? 0;
      return shrinkTo !== undefined && now > shrinkTo ? [{ index, now }] : [];
    });
    const widest = candidates.toSorted((a, b) => b.now - a.now)[0];
    if (widest === undefined) break;
    widths[widest.index] = widest.now - 1;
  }
  return widths;
}
