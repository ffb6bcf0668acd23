/**
 * The line of one host: full duplex, each direction with a budget of its own that all connections of the host share.
 * Without a speed it lets everything through at once.
 */
export class Line {
  /** What clients send to the host. */
  readonly received: Lane;
  /** What the host sends. */
  readonly sent: Lane;

  constructor(time: LineTime = realTime) {
    this.received = new Lane(time);
    this.sent = new Lane(time);
  }

  /** Counts at once, for bytes that wait as well. @param bytesPerSecond in each direction; null: as fast as it can */
  setSpeed(bytesPerSecond: number | null): void {
    this.received.setSpeed(bytesPerSecond);
    this.sent.setSpeed(bytesPerSecond);
  }
}

/** What a line has not used for so long is lost. It makes up for timers that fire late, and is no burst that a real line would not have. */
const creditMs = 20;
/** Connections take turns piece by piece. A piece takes so long at most, so that none waits long for the others. */
const pieceMs = 5;
const largestPieceBytes = 256 * 1024;

interface Waiting {
  /** Goes on once the lane has had time for so many bytes, counted from its beginning. */
  readonly untilBytes: number;
  readonly goOn: () => void;
}

/**
 * One direction. In any time it lets through what its speed gives for that time and {@link creditMs}, and no piece before
 * the time for its last byte has come: what is behind the line gets bytes later than over a real one, never sooner.
 */
export class Lane {
  readonly #time: LineTime;
  #bytesPerSecond: number | null = null;
  /** Bytes that passed or wait, counted from the beginning. */
  #askedBytes = 0;
  /** Bytes that there was time for, counted as those are. */
  #roomBytes = 0;
  #lookedAtMs: number;
  readonly #waiting: Waiting[] = [];
  #cancelTimer: () => void = () => undefined;

  constructor(time: LineTime = realTime) {
    this.#time = time;
    this.#lookedAtMs = time.nowMs();
  }

  setSpeed(bytesPerSecond: number | null): void {
    this.#look();
    this.#bytesPerSecond = bytesPerSecond;
    this.#serve();
  }

  /** True: so many bytes pass without waiting, and are counted. False: nothing was counted. */
  passesNow(bytes: number): boolean {
    if (this.#bytesPerSecond === null) return true;
    if (this.#waiting.length > 0) return false;
    this.#look();
    if (this.#askedBytes + bytes > this.#roomBytes) return false;
    this.#askedBytes += bytes;
    return true;
  }

  /** Resolves when so many bytes have passed. Who asks takes turns with all others that ask. */
  async pass(bytes: number): Promise<void> {
    for (let left = bytes; left > 0;) {
      const piece = Math.min(left, this.pieceBytes);
      if (!this.passesNow(piece)) await this.#turn(piece);
      left -= piece;
    }
  }

  /** How much to ask for at a time. */
  get pieceBytes(): number {
    if (this.#bytesPerSecond === null) return Infinity;
    return Math.min(largestPieceBytes, Math.max(1, Math.floor((this.#bytesPerSecond * pieceMs) / 1000)));
  }

  #turn(bytes: number): Promise<void> {
    this.#askedBytes += bytes;
    return new Promise((goOn) => {
      this.#waiting.push({ untilBytes: this.#askedBytes, goOn });
      // Whoever waits already has the timer.
      if (this.#waiting.length === 1) this.#serve();
    });
  }

  #serve(): void {
    this.#cancelTimer();
    this.#look();
    const speed = this.#bytesPerSecond;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (speed !== null && next.untilBytes > this.#roomBytes) {
        const waitMs = Math.ceil(((next.untilBytes - this.#roomBytes) / speed) * 1000);
        this.#cancelTimer = this.#time.after(waitMs, () => this.#serve());
        return;
      }
      this.#waiting.shift();
      next.goOn();
    }
  }

  #look(): void {
    const nowMs = this.#time.nowMs();
    const speed = this.#bytesPerSecond;
    if (speed === null) this.#roomBytes = this.#askedBytes;
    else {
      const gained = ((nowMs - this.#lookedAtMs) * speed) / 1000;
      this.#roomBytes = Math.min(this.#roomBytes + gained, this.#askedBytes + (creditMs * speed) / 1000);
    }
    this.#lookedAtMs = nowMs;
  }
}

export interface LineTime {
  /** From any beginning, and never backwards. */
  nowMs(): number;
  /** Calls back once; gives what calls that off. */
  after(ms: number, then: () => void): () => void;
}

/**
 * Not the pool's clock: tests move that by minutes at once to let leases run out, and what they move it past is time in
 * which no processor moved a byte. A transfer would come out of it with two minutes' worth of line.
 */
const realTime: LineTime = {
  nowMs: () => performance.now(),
  after: (ms, then) => {
    const timer = setTimeout(then, Math.min(ms, longestTimerMs));
    return () => clearTimeout(timer);
  },
};

/** Longer timers overflow 32 bits in Node and would fire at once. One that fires too soon is set again. */
const longestTimerMs = 2_000_000_000;
