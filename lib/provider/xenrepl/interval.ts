const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const longestMs = 365 * unitMs.d;

/** Milliseconds of `15m`, `2h` or `1d`; null where it is none of these or longer than a year. */
export function parseInterval(text: string): number | null {
  const [, amount, unit] = /^([1-9]\d{0,6})([mhd])$/.exec(text) ?? [];
  if (amount === undefined || unit === undefined) return null;
  const intervalMs = Number(amount) * unitMs[unit as keyof typeof unitMs];
  return intervalMs <= longestMs ? intervalMs : null;
}

/** The shortest spelling of whole minutes, with the largest unit that divides them. */
export function formatInterval(intervalMs: number): string {
  const units = ['d', 'h', 'm'] as const;
  const unit = units.find((name) => intervalMs % unitMs[name] === 0) ?? 'm';
  return `${String(intervalMs / unitMs[unit])}${unit}`;
}
