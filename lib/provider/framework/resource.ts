import type { Diagnostic, Path } from './diagnostics';
import type { Schema } from './schema';
import type { ValueObject } from './value';

/** What every operation gets besides its values. */
export interface Context<Configured> {
  readonly configured: Configured;
  /** Aborts when Terraform asks to stop or is gone. */
  readonly signal: AbortSignal;
  /** Shows something to the user without failing the operation. */
  readonly report: (diagnostic: Diagnostic) => void;
}

export interface PlanRequest {
  /** Null when the object is to be created. */
  readonly prior: ValueObject | null;
  /** What the framework planned: configuration, defaults, values kept from the state, `UNKNOWN` for the rest. */
  readonly planned: ValueObject;
  readonly config: ValueObject;
}

export interface Plan {
  readonly planned: ValueObject;
  /** Attributes whose change cannot be made in place, besides those the schema marks. */
  readonly requiresReplace?: readonly Path[];
}

/**
 * A kind of object that Terraform manages. Every method may throw: what was there before stays in the state then.
 * Values may be `UNKNOWN` in `validate` and `plan`, never in the others.
 */
export interface Resource<Configured> {
  readonly schema: Schema;
  /** Names the object in error titles: `Unable to Create <noun> "name"`. */
  readonly noun: string;
  /** Checks that need several arguments at once; those of one argument stand in the schema. */
  readonly validate?: (config: ValueObject) => readonly Diagnostic[];
  readonly plan?: (request: PlanRequest, context: Context<Configured>) => Promise<Plan>;
  readonly planDestroy?: (prior: ValueObject, context: Context<Configured>) => Promise<void>;
  /** The state afterwards. Throwing after something was made loses it: answer the state and report instead. */
  readonly create: (planned: ValueObject, context: Context<Configured>) => Promise<ValueObject>;
  /** The object as it is now, or null only where it is proven to be gone. */
  readonly read: (state: ValueObject, context: Context<Configured>) => Promise<ValueObject | null>;
  readonly update: (
    prior: ValueObject,
    planned: ValueObject,
    context: Context<Configured>,
  ) => Promise<ValueObject>;
  readonly delete: (prior: ValueObject, context: Context<Configured>) => Promise<void>;
  /** What the import id says; the framework reads the rest afterwards. */
  readonly import?: (id: string) => Record<string, string>;
  /** Lifts a state of version n (the key) to n + 1. */
  readonly upgrades?: Readonly<Record<number, (state: Record<string, unknown>) => Record<string, unknown>>>;
}

export interface DataSource<Configured> {
  readonly schema: Schema;
  readonly noun: string;
  readonly validate?: (config: ValueObject) => readonly Diagnostic[];
  readonly read: (config: ValueObject, context: Context<Configured>) => Promise<ValueObject>;
}

export interface Provider<Configured> {
  readonly name: string;
  readonly schema: Schema;
  readonly resources: Readonly<Record<string, Resource<Configured>>>;
  readonly dataSources: Readonly<Record<string, DataSource<Configured>>>;
  readonly configure: (
    config: ValueObject,
    context: Omit<Context<Configured>, 'configured'>,
  ) => Promise<Configured>;
  /** Lets go of what `configure` and the operations opened; bounded, never throws. */
  readonly close?: (configured: Configured) => Promise<void>;
}
