/** Stands between the engine and a pool: holds it before certain calls, and notes what it waits for. */
import type { DiskExport, DiskImport, Pool } from '../../lib/xapi';
import type { Pending } from './pending';
import type { Gate, Side } from './stage';

export interface Watch {
  readonly side: Side;
  readonly pending: Pending;
  /** Called before each call, opening of a transfer and ending of one; the engine waits for it. */
  readonly pass: (method: string) => Promise<void>;
}

/** Counts what passes and lets the gates of this side act; `before` comes first. */
export function gatekeeper(
  side: Side,
  gates: readonly Gate[],
  act: (gate: Gate) => Promise<unknown>,
  before: (method: string) => Promise<void>,
): Watch['pass'] {
  const own = gates.filter((one) => one.side === side);
  const counts = new Map<string, number>();
  return async (method) => {
    const count = (counts.get(method) ?? 0) + 1;
    counts.set(method, count);
    await before(method);
    for (const one of own) if (one.method === method && (one.nth ?? 1) === count) await act(one);
  };
}

/** From now on everything that the engine asks of this pool is watched. */
export function watch(pool: Pool, { side, pending, pass }: Watch): void {
  const [call, callTask] = [pool.call.bind(pool), pool.callTask.bind(pool)];
  const [openExport, openImport] = [pool.openExport.bind(pool), pool.openImport.bind(pool)];
  const during = <T>(what: string, method: string, work: () => Promise<T>): Promise<T> =>
    pending.during(`${side}: ${what}`, async () => {
      await pass(method);
      return work();
    });
  pool.call = (method, params, options) => during(method, method, () => call(method, params, options));
  pool.callTask = (method, params, options) =>
    during(`${method} and its task`, method, () => callTask(method, params, options));
  pool.openExport = async (request, options) => {
    const name = `download of ${shortened(request.label)}`;
    const opened = await during(`opening the ${name}`, 'openExport', () => openExport(request, options));
    return watchEnd(opened, 'finishExport', name, during, pending.begin(`${side}: ${name}`));
  };
  pool.openImport = async (request, options) => {
    const name = `upload of ${shortened(request.label)}`;
    const opened = await during(`opening the ${name}`, 'openImport', () => openImport(request, options));
    return watchEnd(opened, 'finishImport', name, during, pending.begin(`${side}: ${name}`));
  };
}

function watchEnd<T extends DiskExport | DiskImport>(
  transfer: T,
  method: string,
  name: string,
  during: <R>(what: string, method: string, work: () => Promise<R>) => Promise<R>,
  over: () => void,
): T {
  const [finish, abort] = [transfer.finish.bind(transfer), transfer.abort.bind(transfer)];
  transfer.finish = (options) => during(`end of the ${name}`, method, () => finish(options)).finally(over);
  transfer.abort = () => during(`breaking off the ${name}`, 'abort', abort).finally(over);
  return transfer;
}

/** Without our mark, which names the run. */
function shortened(label: string): string {
  return `"${label.replace(/^\[[^\]]*\] /, '')}"`;
}
