import { textOf, type Value } from '../rpc/unmarshal';
import type { Result } from '../rpc/marshal';
import type { Host } from './host';
import type { Pool } from './pool';

/** One call of a message, after its parameters were checked. */
export interface Call {
  readonly pool: Pool;
  /** The host that received it. */
  readonly host: Host;
  readonly session: string;
  /** The task in which it runs; calls without a task in the database have a name that nothing finds. */
  readonly task: string;
  readonly method: string;
  /** Aborted when the client's connection closes. */
  readonly signal: AbortSignal;
  readonly args: Arguments;
}

/** Parameters by position, already of the types that the datamodel declares. */
export class Arguments {
  readonly #values: readonly Value[];

  constructor(values: readonly Value[]) {
    this.#values = values;
  }

  get all(): readonly Value[] {
    return this.#values;
  }

  value(index: number): Value {
    return this.#values[index] ?? '';
  }

  text(index: number): string {
    return textOf(this.value(index));
  }

  int(index: number): number {
    return Number(this.value(index));
  }

  flag(index: number): boolean {
    return this.value(index) === true;
  }

  list(index: number): readonly string[] {
    const value = this.value(index);
    return Array.isArray(value) ? (value as readonly string[]) : [];
  }

  map(index: number): Readonly<Record<string, string>> {
    const value = this.value(index);
    return typeof value === 'object' && !Array.isArray(value)
      ? (value as Readonly<Record<string, string>>)
      : {};
  }
}

/** What carries out a message. */
export type Handler = (call: Call) => Result | Promise<Result>;
export type Handlers = Readonly<Record<string, Handler>>;
