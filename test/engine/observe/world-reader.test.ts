/** Many VMs ask for the pool as it is: few looks, and none of them gets anything older than its question. */
import { setMaxListeners } from 'node:events';
import { WorldReader } from '../../../lib/engine/observe/world-reader';
import { worldClasses } from '../../../lib/engine/observe/world';
import type { World } from '../../../lib/engine/observe/world';
import type { Pool, Ref } from '../../../lib/xapi';
import { Site } from '../site';

/** An answer on its way, which the test lets arrive. */
class Line {
  readonly #held: (() => void)[] = [];
  readonly #waiting: (() => void)[] = [];
  slow = false;

  /** Resolves when the next answer is on its way. */
  answered(): Promise<void> {
    if (this.#held.length > 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  deliver(): void {
    for (const deliver of this.#held.splice(0)) deliver();
  }

  async carry(signal: AbortSignal | undefined): Promise<void> {
    if (!this.slow) return;
    await new Promise<void>((resolve, reject) => {
      this.#held.push(resolve);
      signal?.addEventListener('abort', () => reject(new Error('the look was ended')), { once: true });
      for (const tell of this.#waiting.splice(0)) tell();
    });
  }
}

describe('the worlds of a run', () => {
  const never = new AbortController().signal;
  // Forty of them wait at once.
  setMaxListeners(0, never);
  let site: Site;
  let pool: Pool;
  let vm: Ref<'VM'>;
  let line: Line;
  let looks: number;
  let reader: WorldReader;

  beforeAll(async () => {
    site = await Site.start();
    pool = await site.connect('source');
    const [found] = await pool.call('VM.get_by_name_label', ['db1']);
    if (found === undefined) throw new Error('no VM');
    vm = found;
  });

  afterAll(async () => {
    await site[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    await rename('before');
    line = new Line();
    looks = 0;
    const follower = pool.follow(worldClasses);
    reader = new WorldReader({
      name: pool.name,
      uuid: pool.uuid,
      look: async (options) => {
        looks += 1;
        const objects = await follower.look(options);
        await line.carry(options.signal);
        return objects;
      },
    });
  });

  async function rename(name: string): Promise<void> {
    await pool.call('VM.set_name_label', [vm, name]);
  }

  function nameIn(world: World): string | undefined {
    return world.vms.get(vm)?.name_label;
  }

  /** A question whose answer, read before the VM got its new name, has not arrived yet. */
  async function slowLook(): Promise<{ readonly world: Promise<World>; readonly stop: AbortController }> {
    line.slow = true;
    const stop = new AbortController();
    const world = reader.read(stop.signal);
    world.catch(() => undefined);
    await line.answered();
    line.slow = false;
    return { world, stop };
  }

  test('who asks while a look is going on gets what is true after the question', async () => {
    const first = await slowLook();
    await rename('after');
    const later = Array.from({ length: 5 }, () => reader.read(never));
    line.deliver();
    expect(nameIn(await first.world)).toBe('before');
    expect((await Promise.all(later)).map(nameIn)).toEqual(Array.from({ length: 5 }, () => 'after'));
    // All who came meanwhile shared one.
    expect(looks).toBe(2);
  });

  test('who asks once more after an answer gets a new look', async () => {
    const before = await reader.read(never);
    await rename('after');
    expect(nameIn(await reader.read(never))).toBe('after');
    expect(nameIn(before)).toBe('before');
  });

  test('one who leaves does not disturb those who share the look', async () => {
    const stop = new AbortController();
    line.slow = true;
    const leaving = reader.read(stop.signal);
    const staying = reader.read(never);
    await line.answered();
    stop.abort();
    await expect(leaving).rejects.toMatchObject({ code: 'cancelled' });
    line.deliver();
    expect(nameIn(await staying)).toBe('before');
    expect(looks).toBe(1);
  });

  test('the look is ended when the last one has left, and the next question is answered', async () => {
    const { world, stop } = await slowLook();
    stop.abort();
    await expect(world).rejects.toMatchObject({ code: 'cancelled' });
    await rename('after');
    // Nobody delivered the first answer: only its end lets the next look begin.
    expect(nameIn(await reader.read(never))).toBe('after');
  });

  test('nobody asks the pool for one who left before his turn, nor shares that look with him', async () => {
    const first = await slowLook();
    const stop = new AbortController();
    const left = reader.read(stop.signal);
    stop.abort();
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
    const later = reader.read(never);
    line.deliver();
    await Promise.all([first.world, later]);
    expect(looks).toBe(2);
    await expect(reader.read(AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
    expect(looks).toBe(2);
  });

  test('a look that fails fails all who share it, and the next one is a new one', async () => {
    const id = await site.source.control.addFault({
      match: { method: 'event.from' },
      effect: { kind: 'error', code: 'INTERNAL_ERROR', params: ['told to fail'] },
    });
    const sharing = [reader.read(never), reader.read(never)];
    for (const world of sharing) await expect(world).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
    await site.source.control.removeFault(id);
    expect(nameIn(await reader.read(never))).toBe('before');
    expect(looks).toBe(2);
  });

  test('tables equal a whole read while many ask and somebody changes things', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `name ${String(index)}`);
    const asked: Promise<void>[] = [];
    for (const [index, name] of names.entries()) {
      await rename(name);
      // No answer is older than the last change before its question.
      const answer = reader.read(never).then((world) => {
        expect(names.indexOf(nameIn(world) ?? '')).toBeGreaterThanOrEqual(index);
      });
      asked.push(answer);
    }
    await Promise.all(asked);
    const [followed, whole] = [
      await reader.read(never),
      await pool.read({ VM: 'all', VDI: 'all', task: 'all' }),
    ];
    expect(Object.fromEntries(followed.vms)).toEqual(Object.fromEntries(whole.VM));
    expect(Object.fromEntries(followed.vdis)).toEqual(Object.fromEntries(whole.VDI));
    expect(Object.fromEntries(followed.tasks)).toEqual(Object.fromEntries(whole.task));
    expect(looks).toBeLessThan(names.length);
  });
});
