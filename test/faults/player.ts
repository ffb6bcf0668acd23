/** A process that plays pieces of the table, with pools of its own: several of them keep all cores busy. */
import type { CallsSeen } from './groups/killed';
import { pieces, playPiece } from './play';
import type { Numbered, Result } from './play';
import { table } from './table';
import { Victims } from './victims';

/** Sent to a player first. */
export interface Casting {
  readonly kind: 'casting';
  /** The bundled `victim.ts`. */
  readonly program: string;
  readonly seed: string;
  readonly calls: CallsSeen;
}

/** Then one of these after the other, each after the player has said `done`. */
export interface Piece {
  readonly kind: 'piece';
  readonly indices: readonly number[];
}

export type FromPlayer = { readonly kind: 'done' } | { readonly kind: 'result'; readonly result: Result };

export function numbered(calls: CallsSeen): readonly Numbered[] {
  return table(calls)
    .flatMap((group) => group.points.map((point) => ({ group, point })))
    .map((one, index) => ({ ...one, index }));
}

class Player {
  readonly #victims: Victims;
  readonly #seed: string;
  readonly #all: readonly Numbered[];

  constructor({ program, seed, calls }: Casting) {
    this.#victims = new Victims(program);
    this.#seed = seed;
    this.#all = numbered(calls);
  }

  async play({ indices }: Piece): Promise<void> {
    const piece = this.#all.filter(({ index }) => indices.includes(index));
    for (const one of pieces(piece)) {
      await playPiece(one, this.#seed, this.#victims, (result) => tell({ kind: 'result', result }));
    }
  }

  leave(): void {
    this.#victims[Symbol.dispose]();
  }
}

function tell(message: FromPlayer): void {
  process.send?.(message);
}

/** To be called where this file is the program. */
export function beAPlayer(): void {
  let player: Player | null = null;
  process.on('message', (message: Casting | Piece) => {
    if (message.kind === 'casting') player = new Player(message);
    else {
      void player?.play(message).then(
        () => tell({ kind: 'done' }),
        (error: unknown) => {
          console.error(error);
          process.exit(1);
        },
      );
    }
  });
  // Whoever started us has all results, or is gone.
  process.once('disconnect', () => {
    player?.leave();
    process.exit(0);
  });
}
