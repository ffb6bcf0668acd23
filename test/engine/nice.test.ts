/** Runs that give way to busy hosts. Time passes as bytes move, and while somebody waits; nothing here sleeps. */
import { jobDefaults } from '../../lib/planner/job';
import { NiceKeeper } from '../../lib/engine/nice';
import { addressesUsed, hostsAt } from '../../lib/engine/steps/serving-hosts';
import { Pace } from '../../lib/engine/data/pace';
import { systemClock } from '../../lib/engine';
import type { Clock, RunEvent } from '../../lib/engine';
import type { HostRecord, PifRecord, Ref } from '../../lib/xapi';
import { compareNewest } from './inspect';
import { methods, nbdSpec } from './nbd-site';
import { guestWrites, Site } from './site';
import type { RunOutcome } from './site';

const mib = 1024 ** 2;
const never = new AbortController().signal;

class DrivenClock implements Clock {
  now = 1_000_000;

  nowMs(): number {
    return this.now;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    // As timers are: never shorter than a millisecond.
    this.now += Math.max(1, ms);
    return Promise.resolve();
  }
}

/** A line of so many bytes a second, over which one host is read whose load the test sets. */
class Line {
  readonly events: RunEvent[] = [];
  readonly asked: number[] = [];
  /** A failure where it is a text. */
  load: number | string = 0;
  readonly keeper: NiceKeeper;
  readonly #clock = new DrivenClock();
  readonly #pace: Pace;
  readonly #bytesPerSecond: number;

  constructor({ bytesPerSecond = 100 * mib, limit = null as number | null, vcpus = 4 } = {}) {
    this.#bytesPerSecond = bytesPerSecond;
    const host = 'OpaqueRef:host' as Ref<'host'>;
    this.keeper = new NiceKeeper({
      source: { call: () => this.#answer() },
      vcpus: new Map([[host, vcpus]]),
      limitAt: () => limit,
      clock: this.#clock,
      signal: never,
      emit: (event) => this.events.push(event),
    });
    this.keeper.readsFrom([{ ref: host, name: 'paris-1' }]);
    this.#pace = new Pace(
      (nowMs) => this.keeper.limitAt(nowMs),
      this.#clock,
      (bytes, nowMs) => this.keeper.passed(bytes, nowMs),
    );
  }

  /** Moves bytes for so long, and says how many a second came through. */
  async move(seconds: number): Promise<number> {
    const startMs = this.#clock.now;
    let moved = 0;
    while (this.#clock.now < startMs + seconds * 1000) {
      const beganMs = this.#clock.now;
      await this.#pace.take(2 * mib, never);
      // The line takes its time in any case; waiting for one's turn counts towards it.
      const lineMs = (2 * mib * 1000) / this.#bytesPerSecond;
      this.#clock.now = Math.max(this.#clock.now, beganMs + lineMs);
      moved += 2 * mib;
    }
    return (moved * 1000) / (this.#clock.now - startMs);
  }

  /** What it says that it cannot tell. */
  get told(): readonly string[] {
    return this.events.flatMap((event) => (event.kind === 'nice-blind' ? [event.text] : []));
  }

  #answer(): Promise<number> {
    this.asked.push(this.#clock.now);
    return typeof this.load === 'string' ? Promise.reject(new Error(this.load)) : Promise.resolve(this.load);
  }
}

describe('how fast bytes move while hosts are looked at', () => {
  test('as fast as the line goes while the host is calm, with one look every 15 seconds', async () => {
    const line = new Line();
    line.load = 2;

    expect(await line.move(60)).toBeGreaterThan(99 * mib);

    expect(line.asked).toHaveLength(4);
    await line.keeper.finish();
    expect(line.events).toEqual([
      { kind: 'nice-summary', looks: 4, highestLoadPerVcpu: 0.5, heldBackMs: 0, lowestBytesPerSecond: null },
    ]);
  });

  test('down to a tenth of what the line carried while it is busy, and back bit by bit', async () => {
    const line = new Line();
    line.load = 8;

    await line.move(180);
    expect(await line.move(30)).toBeCloseTo(10 * mib, -6);
    line.load = 0.4;
    await line.move(30);
    const recovering = await line.move(30);
    expect(recovering).toBeGreaterThan(12 * mib);
    expect(recovering).toBeLessThan(30 * mib);
    await line.move(180);
    expect(await line.move(30)).toBeGreaterThan(99 * mib);

    await line.keeper.finish();
    expect(line.events.at(0)).toMatchObject({ kind: 'nice-paced', host: 'paris-1', loadPerVcpu: 2 });
    const summary = line.events.at(-1);
    if (summary?.kind !== 'nice-summary') throw new Error('the last event is the summary');
    expect(summary.highestLoadPerVcpu).toBe(2);
    expect(summary.lowestBytesPerSecond).toBeCloseTo(10 * mib, -6);
    expect(summary.heldBackMs).toBeGreaterThan(300_000);
    expect(summary.heldBackMs).toBeLessThan(450_000);
  });

  test('never faster than the limit of the job', async () => {
    const line = new Line({ limit: 5 * mib });
    expect(await line.move(60)).toBeLessThan(5.1 * mib);
    line.load = 8;
    await line.move(60);
    expect(await line.move(30)).toBeLessThan(2.6 * mib);
  });

  test.each<[string, number | string, string | null]>([
    ['does not have the figure', 'INTERNAL_ERROR Invalid_data_source', 'Invalid_data_source'],
    ['has measured nothing yet', NaN, null],
  ])('at full speed where a host %s', async (_what, load, reason) => {
    const line = new Line();
    line.load = load;

    expect(await line.move(120)).toBeGreaterThan(99 * mib);

    expect(line.told).toEqual(reason === null ? [] : [expect.stringContaining(reason)]);
  });

  test('at full speed where the pool does not say how large the control domain is', async () => {
    const line = new Line({ vcpus: 0 });
    line.load = 8;
    expect(await line.move(60)).toBeGreaterThan(99 * mib);
    expect(line.told).toEqual([expect.stringContaining('how busy host "paris-1" is')]);
  });

  test('a run that is over within three seconds asks nobody', async () => {
    const line = new Line();
    await line.move(2);
    await line.keeper.finish();
    expect([line.asked, line.events]).toEqual([[], []]);
  });
});

test('a host that serves NBD on a network of its own is found by the address of its interface', () => {
  const ref = <C extends 'host' | 'PIF'>(name: string): Ref<C> => name as Ref<C>;
  const record = (name: string, address: string): HostRecord =>
    ({ name_label: name, address }) as Partial<HostRecord> as HostRecord;
  const pif = (host: string, IP: string, IPv6: readonly string[] = []): PifRecord =>
    ({ host: ref<'host'>(host), IP, IPv6 }) as Partial<PifRecord> as PifRecord;
  const host = new Map([
    [ref<'host'>('a'), record('paris-1', '10.0.0.1')],
    [ref<'host'>('b'), record('paris-2', '10.0.0.2')],
  ]);
  const PIF = new Map([
    [ref<'PIF'>('1'), pif('a', '192.168.1.1', ['fd00::1/64'])],
    [ref<'PIF'>('2'), pif('b', '192.168.1.2', ['fd00::2/64'])],
  ]);
  const at = (...addresses: string[]): readonly string[] =>
    hostsAt(new Set(addresses), { host, PIF }).map(({ name }) => name);

  expect(at('192.168.1.2')).toEqual(['paris-2']);
  expect(at('fd00::1', '192.168.1.1')).toEqual(['paris-1']);
  expect(at('10.0.0.1', '10.0.0.2')).toEqual(['paris-1', 'paris-2']);
  expect(at('10.9.9.9')).toEqual([]);
});

test('a disk is read from the addresses that its connections go to: IPv4 first, and none that was out of reach', () => {
  const at = (...addresses: string[]): { readonly address: string; readonly port: number }[] =>
    addresses.map((address) => ({ address, port: 10809 }));
  const used = (infos: ReturnType<typeof at>, ...unreached: string[]): readonly string[] => [
    ...addressesUsed(infos, new Map(unreached.map((where) => [where, 'no line']))),
  ];
  const all = at('10.0.0.1', 'fd00::1', '10.0.0.2', 'fd00::2', '10.0.0.3');
  expect(used(all)).toEqual(['10.0.0.1', '10.0.0.2']);
  expect(used(all, '10.0.0.1:10809')).toEqual(['10.0.0.2', '10.0.0.3']);
  expect(used(at('fd00::1', 'fd00::2'))).toEqual(['fd00::1', 'fd00::2']);
});

const lineBytesPerSecond = 1.2 * mib;

/** Time of a run: what the source sends takes as long as a slow line would need. */
function lineClock(): { readonly clock: Clock; readonly emit: (event: RunEvent) => void } {
  const driven = new DrivenClock();
  const read = new Map<string, number>();
  return {
    clock: {
      nowMs: () => driven.nowMs(),
      // The lock is renewed now and then, which is no business of the line.
      sleep: (ms, signal) => (ms > 1000 ? systemClock : driven).sleep(ms, signal),
    },
    emit: (event) => {
      if (event.kind !== 'disk-progress') return;
      const lineMs = ((event.bytesRead - (read.get(event.device) ?? 0)) * 1000) / lineBytesPerSecond;
      // More at once was read ahead.
      driven.now += Math.min(lineMs, 2000);
      read.set(event.device, event.bytesRead);
    },
  };
}

describe('a run of a job that is nice', () => {
  let site: Site;

  beforeEach(async () => {
    site = await Site.start();
    await guestWrites(site.source.control, 'db1', 1, [{ atBytes: 0, lengthBytes: 40 * mib, fill: 6 }]);
  });

  afterEach(async () => {
    await site[Symbol.asyncDispose]();
  });

  interface Watching {
    readonly onCall?: (method: string) => void;
    readonly onEvent?: (event: RunEvent) => void;
  }

  async function run({ onCall, onEvent }: Watching = {}): Promise<RunOutcome> {
    const job = await site.job({ limits: { ...jobDefaults.limits, nice: true } });
    const { clock, emit } = lineClock();
    const both = (event: RunEvent): void => {
      emit(event);
      onEvent?.(event);
    };
    return site.run(job, { context: { clock, emit: both }, connect: { onCall } });
  }

  test('gives way to the host that serves its disks until that is calm, says so, and copies everything', async () => {
    const { control } = site.source;
    await control.setControlDomainLoad('source-1', 16);
    await control.setControlDomainLoad('source-2', 0);
    const calmed: Promise<void>[] = [];

    const { report, events } = await run({
      onEvent: ({ kind }) => {
        if (kind === 'nice-paced') calmed.push(control.setControlDomainLoad('source-1', 0));
      },
    });

    await Promise.all(calmed);
    expect(events.filter(({ kind }) => kind === 'nice-paced')).toEqual([
      { kind: 'nice-paced', host: 'source-1', loadPerVcpu: 2, bytesPerSecond: mib },
      { kind: 'nice-paced', host: 'source-1', loadPerVcpu: 0, bytesPerSecond: null },
    ]);
    expect(report).toMatchObject({
      ok: true,
      warnings: [],
      nice: { highestLoadPerVcpu: 2, lowestBytesPerSecond: mib },
    });
    expect(report.nice?.heldBackMs).toBeGreaterThan(10_000);
    for (const { source, target } of await compareNewest(site, report)) expect(target).toBe(source);
  });

  test('does not care for a host that it does not read from', async () => {
    await site.source.control.setControlDomainLoad('source-2', 50);
    const { report } = await run();
    expect(report).toMatchObject({
      ok: true,
      nice: { lowestBytesPerSecond: null, highestLoadPerVcpu: 0.25 / 8 },
    });
  });

  test('goes on at full speed where the host keeps no such figure, and says why', async () => {
    await site.source.control.setControlDomainLoad('source-1', null);

    const { report } = await run();

    expect(report).toMatchObject({ ok: true, nice: { lowestBytesPerSecond: null, heldBackMs: 0 } });
    expect(report.warnings).toEqual([
      expect.stringMatching(/^cannot tell how busy host "source-1" is.*Invalid_data_source/),
    ]);
  });

  test('asks nobody where nothing is sent', async () => {
    await run();
    const sent: string[] = [];
    const { report } = await run({ onCall: (method) => sent.push(method) });
    expect(report).toMatchObject({ ok: true, nice: null });
    expect(sent).not.toContain('host.query_data_source');
  });
});

test('of a disk that is read over NBD, the hosts that serve it are looked at', async () => {
  const disks = [{ device: 0, name: 'root', sizeBytes: 24 * mib, sr: 'source-sr' }];
  await using site = await Site.start(nbdSpec({ vms: [{ name: 'db1', tags: ['protect'], disks }] }));
  await site.source.control.setControlDomainLoad('source-2', 16);
  const job = await site.job({
    transfer: { ...jobDefaults.transfer, method: 'nbd' },
    limits: { ...jobDefaults.limits, nice: true },
  });

  const { report } = await site.run(job, { context: lineClock() });

  expect(methods(report)).toEqual(['0 full nbd']);
  expect(report).toMatchObject({ ok: true, warnings: [], nice: { highestLoadPerVcpu: 2 } });
});
