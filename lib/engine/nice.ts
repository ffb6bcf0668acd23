/** Looks at the hosts that a run reads from while it does, and says how fast bytes may move. Decides nothing by itself. */
import { giveWay, niceRate, notGivingWay } from '../planner/nice';
import type { Nice } from '../planner/nice';
import type { Pool, Ref, ServingHost, VmRecord } from '../xapi';
import type { Clock } from './context';
import type { NiceEvent } from './events';

/** The figure is refreshed every five seconds, and is that of a minute. */
const lookEveryMs = 15_000;
/** First it must be known what moves; and what is over by then is nobody's burden. */
const firstLookAfterMs = 3_000;
/** A host that is too busy to answer has been asked long enough. */
const lookMaxMs = 5_000;
/** Longer between two pieces means that something else was going on, not that bytes move slowly. */
const idleAfterMs = 5_000;
/** Of a shorter time a rate says little. */
const measuredMinMs = 1_000;

export interface NiceParts {
  readonly source: Pick<Pool, 'call'>;
  /** What each control domain has, by its host. */
  readonly vcpus: ReadonlyMap<Ref<'host'>, number>;
  /** What the job allows at an instant; null: no limit. */
  readonly limitAt: (nowMs: number) => number | null;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly emit: (event: NiceEvent) => void;
}

interface Watched extends ServingHost {
  readers: number;
}

interface Load {
  readonly host: ServingHost;
  readonly perVcpu: number;
}

/**
 * Costs one call for each host every 15 seconds, and only while bytes move. That a host does not say is told once, and
 * changes nothing for the run.
 */
export class NiceKeeper {
  readonly #parts: NiceParts;
  readonly #watched = new Map<string, Watched>();
  readonly #blind = new Set<string>();
  #state: Nice = notGivingWay;
  #looking: Promise<void> | null = null;
  #nextLookMs: number | null = null;
  #seenMs: number | null = null;
  /** Since the last look. */
  #moved = { bytes: 0, forMs: 0 };
  #looks = 0;
  #heldBackMs = 0;
  #lowest: number | null = null;
  #highestLoad: number | null = null;

  constructor(parts: NiceParts) {
    this.#parts = parts;
  }

  /** A disk is read from these hosts, until what is given back is called. */
  readsFrom(hosts: readonly ServingHost[]): () => void {
    const own = hosts.map((host) => {
      const watched = this.#watched.get(host.ref) ?? { ...host, readers: 0 };
      watched.readers += 1;
      this.#watched.set(host.ref, watched);
      return watched;
    });
    return () => {
      for (const watched of own) {
        watched.readers -= 1;
        if (watched.readers === 0) this.#watched.delete(watched.ref);
      }
    };
  }

  /** Bytes a second that may move now; null: no limit. Asked often while bytes wait, and so it looks when it is time to. */
  limitAt(nowMs: number): number | null {
    this.#pass(nowMs);
    this.#lookIfDue(nowMs);
    return niceRate(this.#state, this.#parts.limitAt(nowMs));
  }

  /** So many bytes were moved. */
  passed(bytes: number, nowMs: number): void {
    this.#pass(nowMs);
    this.#moved.bytes += bytes;
  }

  /** It is not known what to look at, or what a host says; once for each reason. */
  cannotTell(where: string, reason: string): void {
    if (this.#blind.has(where)) return;
    this.#blind.add(where);
    const text = `cannot tell how busy ${where} is, so the run does not give way to it: ${reason}`;
    this.#parts.emit({ kind: 'nice-blind', text });
  }

  /** After the last disk: waits for a look that is under way, which is bounded, and says what came of it all. */
  async finish(): Promise<void> {
    await this.#looking;
    if (this.#looks === 0) return;
    this.#parts.emit({
      kind: 'nice-summary',
      looks: this.#looks,
      highestLoadPerVcpu: this.#highestLoad,
      heldBackMs: Math.round(this.#heldBackMs),
      lowestBytesPerSecond: this.#lowest,
    });
  }

  #pass(nowMs: number): void {
    const passedMs = this.#seenMs === null ? 0 : Math.max(0, nowMs - this.#seenMs);
    this.#seenMs = nowMs;
    if (passedMs > idleAfterMs) return;
    this.#moved.forMs += passedMs;
    const nice = this.#state.bytesPerSecond;
    const limit = this.#parts.limitAt(nowMs);
    if (nice !== null && (limit === null || nice < limit)) this.#heldBackMs += passedMs;
  }

  #lookIfDue(nowMs: number): void {
    this.#nextLookMs ??= nowMs + firstLookAfterMs;
    if (nowMs < this.#nextLookMs || this.#looking !== null || this.#watched.size === 0) return;
    this.#nextLookMs = nowMs + lookEveryMs;
    this.#looking = this.#look([...this.#watched.values()]).finally(() => {
      this.#looking = null;
    });
  }

  async #look(hosts: readonly ServingHost[]): Promise<void> {
    const { bytes, forMs } = this.#moved;
    this.#moved = { bytes: 0, forMs: 0 };
    const loads = (await Promise.all(hosts.map((host) => this.#loadOf(host)))).filter(
      (load) => load !== null,
    );
    const busiest = loads.reduce<Load | null>(
      (most, load) => (most === null || load.perVcpu > most.perVcpu ? load : most),
      null,
    );
    const atMs = this.#parts.clock.nowMs();
    const before = this.#state;
    this.#state = giveWay(before, {
      atMs,
      loadPerVcpu: busiest?.perVcpu ?? null,
      movedBytesPerSecond: forMs < measuredMinMs ? null : (bytes * 1000) / forMs,
      limitBytesPerSecond: this.#parts.limitAt(atMs),
    });
    this.#note(before, busiest);
  }

  #note(before: Nice, busiest: Load | null): void {
    this.#looks += 1;
    const { bytesPerSecond } = this.#state;
    if (busiest !== null) this.#highestLoad = Math.max(this.#highestLoad ?? 0, busiest.perVcpu);
    if (bytesPerSecond !== null) this.#lowest = Math.min(this.#lowest ?? Infinity, bytesPerSecond);
    if (bytesPerSecond === before.bytesPerSecond) return;
    this.#parts.emit({
      kind: 'nice-paced',
      host: busiest?.host.name ?? null,
      loadPerVcpu: busiest?.perVcpu ?? null,
      bytesPerSecond,
    });
  }

  async #loadOf(host: ServingHost): Promise<Load | null> {
    const { source, vcpus, signal } = this.#parts;
    const where = `host "${host.name}"`;
    const count = vcpus.get(host.ref) ?? 0;
    if (count < 1) {
      this.cannotTell(where, 'the pool does not say how many vCPUs its control domain has');
      return null;
    }
    try {
      const options = { signal, timeoutMs: lookMaxMs };
      const load = await source.call('host.query_data_source', [host.ref, 'loadavg'], options);
      // Not a number: its daemon has just begun and measured nothing yet.
      return Number.isFinite(load) ? { host, perVcpu: load / count } : null;
    } catch (error) {
      if (!signal.aborted) this.cannotTell(where, error instanceof Error ? error.message : String(error));
      return null;
    }
  }
}

/** vCPUs of each host's control domain. Where a host has several, the one that moves disks is the largest. */
export function vcpusOfControlDomains(vms: readonly VmRecord[]): ReadonlyMap<Ref<'host'>, number> {
  const counts = new Map<Ref<'host'>, number>();
  for (const { is_control_domain: isControlDomain, resident_on: host, VCPUs_max: count } of vms) {
    if (isControlDomain) counts.set(host, Math.max(counts.get(host) ?? 0, count));
  }
  return counts;
}
