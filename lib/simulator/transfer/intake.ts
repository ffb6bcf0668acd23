import type { Duplex } from 'node:stream';
import type { Lane } from '../line';

/** Whom an intake hands on to. */
export interface IntakeReader {
  take(chunk: Buffer): void;
  /** Nothing comes any more; everything before was taken. */
  end(): void;
}

/**
 * What a socket receives, at the speed of its host's line. While a chunk waits for the line the socket is not read, so that its
 * sender is held up and nothing is gathered here.
 */
export class Intake {
  readonly #socket: Duplex;
  readonly #lane: Lane;
  readonly #reader: IntakeReader;
  /** Received and not passed by the line: what one reading of the socket gave. */
  #waiting: Buffer[] = [];
  #isPassing = false;
  #isWanted = false;
  #hasEnded = false;
  readonly #listeners = new Map<string, (chunk: Buffer) => void>([
    ['data', (chunk) => this.offer(chunk)],
    ['end', () => this.#end()],
    ['error', () => this.#lose()],
    ['close', () => this.#lose()],
  ]);

  constructor(socket: Duplex, lane: Lane, reader: IntakeReader) {
    this.#socket = socket;
    this.#lane = lane;
    this.#reader = reader;
    for (const [event, listener] of this.#listeners) socket.on(event, listener);
    this.#hasEnded = socket.destroyed || socket.readableEnded;
    socket.pause();
  }

  resume(): void {
    this.#isWanted = true;
    if (!this.#isPassing) this.#socket.resume();
  }

  pause(): void {
    this.#isWanted = false;
    this.#socket.pause();
  }

  /** Takes a chunk that came in. */
  offer(chunk: Buffer): void {
    if (!this.#isPassing && this.#lane.passesNow(chunk.length)) {
      this.#reader.take(chunk);
      return;
    }
    this.#waiting.push(chunk);
    this.#socket.pause();
    if (!this.#isPassing) void this.#pass();
  }

  /** Stops listening and gives what the line has not let through. */
  release(): readonly Buffer[] {
    // A flowing socket without listeners would throw away what comes next.
    this.pause();
    for (const [event, listener] of this.#listeners) this.#socket.off(event, listener);
    return this.#waiting.splice(0);
  }

  async #pass(): Promise<void> {
    this.#isPassing = true;
    for (let chunk = this.#waiting[0]; chunk !== undefined; chunk = this.#waiting[0]) {
      await this.#lane.pass(chunk.length);
      // Lost or released meanwhile.
      if (this.#waiting[0] !== chunk) break;
      this.#waiting.shift();
      this.#reader.take(chunk);
    }
    this.#isPassing = false;
    if (this.#hasEnded) this.#reader.end();
    else if (this.#isWanted) this.#socket.resume();
  }

  #end(): void {
    this.#hasEnded = true;
    if (!this.#isPassing) this.#reader.end();
  }

  /** What was on its way when the connection broke never arrives; what came before an orderly end does. */
  #lose(): void {
    if (!this.#hasEnded) this.#waiting = [];
    this.#hasEnded = true;
    if (this.#waiting.length === 0) this.#reader.end();
  }
}
