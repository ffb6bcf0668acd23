/** The figures as people read them. */
import { isMet, median, roundsOf, valueOf } from './measure';
import type { Figure } from './measure';

const columns = ['figure', 'ours', 'peer', 'ratio', 'target', '', 'rounds'] as const;

export function textTable(figures: readonly Figure[]): string {
  const rows = [columns, ...figures.map(cells)];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd();
  return `${rows.map(line).join('\n')}\n`;
}

export function markdownTable(figures: readonly Figure[]): string {
  const line = (row: readonly string[]): string => `| ${row.join(' | ')} |`;
  const rows = [
    columns,
    columns.map(() => '---'),
    ...figures.map((figure) => cells(figure).map((cell) => cell.replaceAll('|', '\\|'))),
  ];
  return `${rows.map(line).join('\n')}\n`;
}

/** For the line below the table. */
export function roundsText(figures: readonly Figure[]): string {
  const counts = [...new Set(figures.map(roundsOf))].sort((a, b) => a - b);
  return counts.length === 1 && counts[0] === 1 ? '1 round' : `medians of ${counts.join(', ')} rounds`;
}

function cells(figure: Figure): readonly string[] {
  const { name, unit, ours, peer, atMost } = figure;
  const met = isMet(figure);
  const limit = peer === null ? shown(atMost ?? 0, unit) : `${String(atMost)} x`;
  return [
    name,
    shown(median(ours), unit),
    peer === null ? '–' : `${shown(median(peer.values), unit)} (${peer.what})`,
    peer === null ? '–' : `${valueOf(figure).toFixed(2)} x`,
    atMost === null ? '–' : `≤ ${limit}`,
    met === null ? '' : met ? 'met' : 'MISSED',
    String(roundsOf(figure)),
  ];
}

function shown(value: number, unit: Figure['unit']): string {
  if (unit === 'exponent') return value.toFixed(2);
  const digits = unit === 'calls' || unit === 'ms' || Number.isInteger(value) ? 0 : unit === 's' ? 2 : 1;
  return `${value.toFixed(digits)} ${unit}`;
}
