/** Hands the pieces of the table to several players. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { Numbered, Result } from './play';
import type { Casting, FromPlayer, Piece } from './player';

/**
 * Resolves when every piece was played.
 *
 * @param program the bundle that becomes a player where it is told so
 */
export async function playTogether(
  given: readonly (readonly Numbered[])[],
  players: number,
  program: string,
  casting: Casting,
  onResult: (result: Result) => void,
): Promise<void> {
  const waiting = [...given];
  const count = Math.min(players, waiting.length);
  await Promise.all(
    Array.from({ length: count }, () => playOn(fork(program, ['--player']), waiting, casting, onResult)),
  );
}

function playOn(
  player: ChildProcess,
  waiting: (readonly Numbered[])[],
  casting: Casting,
  onResult: (result: Result) => void,
): Promise<void> {
  const next = (): void => {
    const piece = waiting.shift();
    if (piece === undefined) player.disconnect();
    else player.send({ kind: 'piece', indices: piece.map(({ index }) => index) } satisfies Piece);
  };
  player.on('message', (message: FromPlayer) => {
    if (message.kind === 'result') onResult(message.result);
    else next();
  });
  player.send(casting);
  next();
  return new Promise((resolve, reject) => {
    player.once('error', reject);
    player.once('exit', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`a player ended with ${String(code ?? signal)}`));
    });
  });
}
