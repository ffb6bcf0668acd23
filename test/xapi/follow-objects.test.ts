/** Tables kept up to date by event tokens must always equal a fresh whole read. */
import fc from 'fast-check';
import { Pool } from '../../lib/xapi';
import type { ObjectFollower, Ref } from '../../lib/xapi';
import { defaultSpec, Site } from '../engine/site';
import { ApiFailure, FakePool, VDI } from './fake-pool';
import { CutConnection } from './fake-rpc';

const mib = 1024 ** 2;
const classes = ['VM', 'VDI', 'VBD', 'VIF', 'SR', 'network', 'task'] as const;
type Follower = ObjectFollower<(typeof classes)[number]>;

/** A small pool that somebody changes while we look on, and a count of the looks that crossed the line. */
class Changing implements AsyncDisposable {
  asked = 0;
  readonly #disks: Ref<'VDI'>[] = [];
  readonly #vms: Ref<'VM'>[] = [];
  readonly #tasks: Ref<'task'>[] = [];

  private constructor(
    readonly site: Site,
    /** Whoever changes things. */
    readonly other: Pool,
    readonly sr: Ref<'SR'>,
    readonly vm: Ref<'VM'>,
  ) {}

  static async start(release?: '6.5'): Promise<Changing> {
    const [source, target] = defaultSpec.pools;
    if (source === undefined || target === undefined) throw new Error('two pools expected');
    const vm = { name: 'db1', disks: [{ device: 0, name: 'root', sizeBytes: 2 * mib, sr: 'source-sr' }] };
    const old = release === undefined ? {} : { release };
    const site = await Site.start({ seed: 1, pools: [{ ...source, ...old, vms: [vm] }, target] });
    const other = await site.connect('source');
    const [sr] = await other.call('SR.get_by_name_label', ['source-sr']);
    const [ref] = await other.call('VM.get_by_name_label', ['db1']);
    if (sr === undefined || ref === undefined) throw new Error('the pool is not as it was made');
    return new Changing(site, other, sr, ref);
  }

  async watch(): Promise<Pool> {
    return this.site.connect('source', {
      onCall: (method) => {
        if (method === 'event.from') this.asked += 1;
      },
    });
  }

  readonly steps: Readonly<Record<string, () => Promise<unknown>>> = {
    'make a disk': async () => {
      const disk = await this.other.call('VDI.create', [
        {
          name_label: 'made',
          name_description: '',
          SR: this.sr,
          virtual_size: 2 * mib,
          type: 'user',
          sharable: false,
          read_only: false,
          other_config: {},
          xenstore_data: {},
          sm_config: {},
          tags: [],
        },
      ]);
      this.#disks.push(disk);
    },
    'mark a disk': async () => {
      const [disk] = this.#disks;
      if (disk === undefined) return;
      await this.other.call('VDI.set_other_config', [disk, { asked: String(this.asked) }]);
    },
    'destroy a disk': async () => {
      const disk = this.#disks.shift();
      if (disk !== undefined) await this.other.call('VDI.destroy', [disk]);
    },
    'clone the VM': async () => {
      this.#vms.push(await this.other.callTask('VM.clone', [this.vm, 'clone']));
    },
    'snapshot the VM': async () => {
      this.#vms.push(await this.other.callTask('VM.snapshot', [this.vm, 'snapshot']));
    },
    'destroy a VM': async () => {
      const vm = this.#vms.shift();
      if (vm !== undefined) await this.other.call('VM.destroy', [vm]);
    },
    'rename the VM': () => this.other.call('VM.set_name_label', [this.vm, `asked ${String(this.asked)}`]),
    'make a task': async () => {
      this.#tasks.push(await this.other.call('task.create', ['made', '']));
    },
    'destroy a task': async () => {
      const task = this.#tasks.pop();
      if (task === undefined) return;
      // One that has not ended is only marked to be destroyed; before 7.2 a client cannot end it.
      if (this.other.apiVersion.minor > 3) await this.other.call('task.set_status', [task, 'success']);
      await this.other.call('task.destroy', [task]);
    },
    'start the toolstack again': async () => {
      await this.site.source.control.restartCoordinator();
      // Tasks do not survive; a read logs in again.
      this.#tasks.length = 0;
      await this.other.serverTime();
    },
  };

  async step(name: string): Promise<void> {
    await this.steps[name]?.();
  }

  /** Nothing happens in between: both are of one moment. */
  async compare(follower: Follower): Promise<void> {
    const followed = await follower.look();
    const whole = await this.other.read(Object.fromEntries(classes.map((name) => [name, 'all'] as const)));
    for (const name of classes)
      expect(Object.fromEntries(followed[name])).toEqual(Object.fromEntries(whole[name]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.site[Symbol.asyncDispose]();
  }
}

describe.each<[string, '6.5' | undefined, number]>([
  ['a present release', undefined, 14],
  ['XenServer 6.5, over XML-RPC', '6.5', 4],
])('tables of a pool of %s', (_what, release, numRuns) => {
  test('equal a whole read after any changes', async () => {
    await using changing = await Changing.start(release);
    const watching = await changing.watch();
    const changes = fc.array(fc.constantFrom(...Object.keys(changing.steps)), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(fc.array(changes, { maxLength: 4 }), async (looks) => {
        const follower = watching.follow(classes);
        await changing.compare(follower);
        for (const steps of looks) {
          for (const step of steps) await changing.step(step);
          await changing.compare(follower);
        }
      }),
      { numRuns },
    );
  });
});

describe('tables of a pool', () => {
  test('equal a whole read where the server has forgotten most deletions', async () => {
    await using changing = await Changing.start();
    const follower = (await changing.watch()).follow(classes);
    for (let made = 0; made < 600; made += 1) await changing.step('make a task');
    await changing.compare(follower);
    for (let gone = 0; gone < 590; gone += 1) await changing.step('destroy a task');
    changing.asked = 0;
    await changing.compare(follower);
    // Once for what changed, once for everything: the counts did not fit.
    expect(changing.asked).toBe(2);
    await changing.compare(follower);
    expect(changing.asked).toBe(3);
  });

  test('take one call for changes of every kind that were told', async () => {
    await using changing = await Changing.start();
    const follower = (await changing.watch()).follow(classes);
    for (const step of ['make a disk', 'make a task', 'clone the VM']) await changing.step(step);
    await changing.compare(follower);
    for (const step of ['destroy a disk', 'make a disk', 'destroy a task', 'rename the VM', 'destroy a VM'])
      await changing.step(step);
    changing.asked = 0;
    await changing.compare(follower);
    expect(changing.asked).toBe(1);
  });

  test('are not changed by later looks, and shared where nothing of a class changed', async () => {
    await using changing = await Changing.start();
    const follower = (await changing.watch()).follow(classes);
    const before = await follower.look();
    await changing.step('rename the VM');
    await changing.step('make a disk');
    const after = await follower.look();
    expect(before.VM.get(changing.vm)?.name_label).toBe('db1');
    expect(after.VM.get(changing.vm)?.name_label).not.toBe('db1');
    expect(after.VDI.size).toBe(before.VDI.size + 1);
    expect(after.network).toBe(before.network);
    expect(after.VBD).toBe(before.VBD);
  });
});

describe('the token', () => {
  let fake: FakePool;
  let pool: Pool;
  let follower: ObjectFollower<'VDI'>;
  let nowMs = 0;
  /** What the pool holds, and what it says of it. */
  let disks: Record<string, { readonly name_label: string }>;
  let answer: { token: string; valid_ref_counts?: Record<string, number> };
  let failure: Error | null;

  const tokenAt = (generation: number): string => `${String(generation).padStart(20, '0')},${'0'.repeat(20)}`;

  beforeEach(async () => {
    fake = await FakePool.start();
    disks = { [VDI]: { name_label: 'a' } };
    answer = { token: tokenAt(7), valid_ref_counts: { vdi: 1, vm: 400 } };
    failure = null;
    fake.handlers.set('event.from', ([, token]) => {
      if (failure !== null && token !== '') throw failure;
      const events = token === '' ? Object.entries(disks) : [];
      return {
        events: events.map(([ref, snapshot]) => ({ class: 'vdi', operation: 'add', ref, snapshot })),
        ...answer,
      };
    });
    pool = await Pool.connect(fake.endpoint());
    nowMs = 0;
    follower = pool.follow(['VDI'], () => nowMs);
    await follower.look();
  });

  afterEach(async () => {
    await pool.disconnect();
    await fake.close();
  });

  /** The tokens that one more look asks with. */
  async function tokensOfALook(): Promise<readonly unknown[]> {
    const before = fake.count('event.from');
    const { VDI: found } = await follower.look();
    expect([...found.values()]).toEqual(Object.values(disks));
    const asked = fake.calls.filter(({ method }) => method === 'event.from').slice(before);
    return asked.map(({ params }) => params[2]);
  }

  test('of the last answer asks for what came after it', async () => {
    answer = { ...answer, token: tokenAt(9) };
    expect(await tokensOfALook()).toEqual([tokenAt(7)]);
    expect(await tokensOfALook()).toEqual([tokenAt(9)]);
  });

  test.each<[string, () => void]>([
    ['there are fewer objects than we hold', () => (answer.valid_ref_counts = { vdi: 0 })],
    ['there are more objects than we hold', () => (answer.valid_ref_counts = { vdi: 2 })],
    ['the answer has no counts', () => delete answer.valid_ref_counts],
    ['the counts leave the class out', () => (answer.valid_ref_counts = { vm: 1 })],
    ['the answer has an older token', () => (answer.token = tokenAt(6))],
    ['the answer has a token of another kind', () => (answer.token = '9')],
    [
      'the server does not know the token',
      () => (failure = new ApiFailure('EVENT_FROM_TOKEN_PARSE_FAILURE', 'x')),
    ],
    ['the connection is lost', () => (failure = new CutConnection())],
  ])('is not trusted where %s: everything is read again', async (_when, happens) => {
    happens();
    disks = { [VDI]: { name_label: 'b' } };
    expect(await tokensOfALook()).toEqual([tokenAt(7), '']);
  });

  test('is not kept where an answer has no counts: each look reads everything, in one call', async () => {
    delete answer.valid_ref_counts;
    await follower.look();
    expect(await tokensOfALook()).toEqual(['']);
    expect(await tokensOfALook()).toEqual(['']);
  });

  test('is worth nothing in another session', async () => {
    fake.session = 'OpaqueRef:5e551000-0000-4000-8000-000000000002';
    expect(await tokensOfALook()).toEqual([tokenAt(7), '']);
    expect(await tokensOfALook()).toEqual([tokenAt(7)]);
    // Somebody else's call may be the one that finds out.
    fake.session = 'OpaqueRef:5e551000-0000-4000-8000-000000000003';
    await pool.call('host.get_record', [pool.coordinator]);
    expect(await tokensOfALook()).toEqual(['']);
  });

  test('is forgotten after a look that failed or was cancelled', async () => {
    failure = new ApiFailure('INTERNAL_ERROR', 'x');
    await expect(follower.look()).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
    expect(await tokensOfALook()).toEqual(['']);
    failure = null;
    await expect(follower.look({ signal: AbortSignal.abort() })).rejects.toMatchObject({ kind: 'aborted' });
    expect(await tokensOfALook()).toEqual(['']);
  });

  test('is given up after five minutes: a change that was not told is seen then', async () => {
    disks = { [VDI]: { name_label: 'changed without telling' } };
    nowMs = 5 * 60_000 - 1;
    expect((await follower.look()).VDI.get(VDI as Ref<'VDI'>)?.name_label).toBe('a');
    nowMs += 1;
    expect(await tokensOfALook()).toEqual(['']);
    expect(await tokensOfALook()).toEqual([tokenAt(7)]);
  });
});
