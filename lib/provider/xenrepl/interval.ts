const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const longestMs = 365 * unitMs.d;

/** Milliseconds of `500ms`, `30s`, `15m`, `2h` or `1d`; null where it is none of these or longer than a year. */
export function parseInterval(text: string): number | null {
  const [, amount, unit] = /^([1-9]\d{0,10})(ms|s|m|h|d)$/.exec(text) ?? [];
  if (amount === undefined || unit === undefined) return null;
  const intervalMs = Number(amount) * unitMs[unit as keyof typeof unitMs];
  return intervalMs <= longestMs ? intervalMs : null;
}

/** The shortest spelling, with the largest unit that divides it. */
export function formatInterval(intervalMs: number): string {
  const units = ['d', 'h', 'm', 's'] as const;
  const unit = units.find((name) => intervalMs % unitMs[name] === 0) ?? 'ms';
  return `${String(intervalMs / unitMs[unit])}${unit}`;
}
