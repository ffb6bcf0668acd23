/** What is measured, and how it is judged. */

/** One line of the table. Everything that was measured for it is kept: the table shows medians. */
export interface Figure {
  readonly name: string;
  /** `x` for what is a ratio already. */
  readonly unit: 'ms' | 's' | 'MiB' | 'calls' | 'x' | 'exponent';
  readonly ours: readonly number[];
  /** What ours is divided by; null where the figure stands for itself. */
  readonly peer: { readonly what: string; readonly values: readonly number[] } | null;
  /** Of the ratio where there is a peer, else of the figure itself; null: shown and not judged. */
  readonly atMost: number | null;
  /** What the figure was made of, where that is more than the values. */
  readonly details?: Readonly<Record<string, readonly number[]>>;
}

export const mib = 1024 ** 2;
export const gib = 1024 ** 3;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? NaN;
  return Number.isInteger(middle) ? (upper + (sorted[middle - 1] ?? NaN)) / 2 : upper;
}

/** How often it was measured: what was made of several measurements is one value, and these are its details. */
export function roundsOf({ ours, peer, details = {} }: Figure): number {
  const own = Math.max(ours.length, ...Object.values(details).map(({ length }) => length));
  return peer === null ? own : Math.min(own, peer.values.length);
}

/** What is compared with the target. */
export function valueOf({ ours, peer }: Figure): number {
  return peer === null ? median(ours) : median(ours) / median(peer.values);
}

/** Null where the figure has no target. */
export function isMet(figure: Figure): boolean | null {
  return figure.atMost === null ? null : valueOf(figure) <= figure.atMost;
}

/** How y grows with x: the slope of the straight line through their logarithms that fits best. */
export function exponent(points: readonly (readonly [x: number, y: number])[]): number {
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)] as const);
  const mean = (of: 0 | 1): number => logs.reduce((sum, log) => sum + log[of], 0) / logs.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const along = logs.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return along / logs.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}

/** Ours and the peer's in turn, so that both see the same machine. */
export async function inTurn<Own, Peer>(
  rounds: number,
  peer: (round: number) => Promise<Peer>,
  own: (round: number) => Promise<Own>,
): Promise<{ readonly own: readonly Own[]; readonly peer: readonly Peer[] }> {
  const measured: { own: Own[]; peer: Peer[] } = { own: [], peer: [] };
  for (let round = 0; round < rounds; round += 1) {
    measured.peer.push(await peer(round));
    measured.own.push(await own(round));
  }
  return measured;
}
