import { apply } from './apply';
import type { ApplyRequest } from './apply';
import { DiagnosticError, error, toDiagnostics } from './diagnostics';
import type { Diagnostic } from './diagnostics';
import { plan } from './plan';
import type { PlanChangeRequest, Planned } from './plan';
import { importState, readState, upgradeState } from './read';
import type { Context, DataSource, Provider, Resource } from './resource';
import { settle } from './settle';
import { validateAttributes } from './validate';
import type { ValueObject } from './value';

/** The answer to a call, and what Terraform shows besides. */
export type Answer<Result extends object = object> = Result & { readonly diagnostics: readonly Diagnostic[] };

export interface OneState {
  readonly state: ValueObject | null;
}

/**
 * One running provider: what Terraform asks, answered in decoded values. Keeps nothing but the configured provider;
 * Terraform starts a new process for every walk and expects none of the earlier ones to have left anything.
 *
 * No method throws: whatever goes wrong is a diagnostic, since Terraform shows a failed call as a crash.
 */
export class ProviderServer<Configured> {
  readonly provider: Provider<Configured>;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #configured: { readonly value: Configured } | undefined;

  constructor(provider: Provider<Configured>) {
    this.provider = provider;
  }

  validateProvider(config: ValueObject): Promise<Answer> {
    return this.#answer('Unable to Validate Provider Configuration', {}, (report) => {
      validateAttributes(this.provider.schema.attributes, config).forEach(report);
      return {};
    });
  }

  validateResource(typeName: string, config: ValueObject): Promise<Answer> {
    return this.#validate(config, () => this.#resource(typeName));
  }

  validateDataSource(typeName: string, config: ValueObject): Promise<Answer> {
    return this.#validate(config, () => this.#dataSource(typeName));
  }

  configure(config: ValueObject): Promise<Answer> {
    return this.#answer('Unable to Configure Provider', {}, async (report) => {
      const { signal } = this.#stop;
      this.#configured = { value: await this.provider.configure(config, { signal, report }) };
      return {};
    });
  }

  upgrade(typeName: string, version: number, state: Record<string, unknown>): Promise<Answer<OneState>> {
    return this.#answer<OneState>('Unable to Upgrade State', { state: null }, () => ({
      state: upgradeState(typeName, this.#resource(typeName), version, state),
    }));
  }

  plan(typeName: string, request: PlanChangeRequest): Promise<Answer<Planned>> {
    return this.#answer<Planned>('Unable to Plan', { planned: null, requiresReplace: [] }, (report) =>
      plan(this.#resource(typeName), request, this.#context(report)),
    );
  }

  apply(typeName: string, request: ApplyRequest): Promise<Answer<OneState>> {
    return this.#answer<OneState>('Unable to Apply', { state: request.prior }, async (report) => ({
      state: await apply(this.#resource(typeName), request, this.#context(report)),
    }));
  }

  read(typeName: string, state: ValueObject): Promise<Answer<OneState>> {
    return this.#answer<OneState>('Unable to Read', { state }, async (report) => ({
      state: await readState(this.#resource(typeName), state, this.#context(report)),
    }));
  }

  import(typeName: string, id: string): Promise<Answer<OneState>> {
    return this.#answer<OneState>('Unable to Import', { state: null }, () => ({
      state: importState(typeName, this.#resource(typeName), id),
    }));
  }

  readDataSource(typeName: string, config: ValueObject): Promise<Answer<OneState>> {
    return this.#answer<OneState>('Unable to Read Data Source', { state: null }, async (report) => {
      const { schema, read } = this.#dataSource(typeName);
      return { state: settle(schema.attributes, await read(config, this.#context(report)), config) };
    });
  }

  /** Aborts what is running; each call still answers, so that partial state is not lost. */
  stop(): void {
    this.#stop.abort(new Error('Terraform asked to stop'));
  }

  /** Waits for running operations and closes what they opened. The caller bounds the wait. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#running);
    const configured = this.#configured;
    this.#configured = undefined;
    if (configured !== undefined) await this.provider.close?.(configured.value);
  }

  #validate(
    config: ValueObject,
    find: () => Pick<Resource<Configured> | DataSource<Configured>, 'schema' | 'validate'>,
  ): Promise<Answer> {
    return this.#answer('Unable to Validate Configuration', {}, (report) => {
      const { schema, validate } = find();
      validateAttributes(schema.attributes, config).forEach(report);
      validate?.(config).forEach(report);
      return {};
    });
  }

  async #answer<Result extends object>(
    summary: string,
    fallback: Result,
    work: (report: (diagnostic: Diagnostic) => void) => Result | Promise<Result>,
  ): Promise<Answer<Result>> {
    const diagnostics: Diagnostic[] = [];
    const running = (async () => work((diagnostic) => diagnostics.push(diagnostic)))();
    this.#running.add(running);
    try {
      return { ...(await running), diagnostics };
    } catch (failure) {
      return {
        ...fallback,
        diagnostics: [...diagnostics, ...toDiagnostics(failure, summary, this.#stop.signal)],
      };
    } finally {
      this.#running.delete(running);
    }
  }

  #context(report: (diagnostic: Diagnostic) => void): Context<Configured> {
    if (this.#configured === undefined) {
      throw new DiagnosticError(
        error(
          'Provider Is Not Configured',
          'Terraform called the provider before it configured it. This is a defect of one of the two: please report it.',
        ),
      );
    }
    return { configured: this.#configured.value, signal: this.#stop.signal, report };
  }

  #resource(typeName: string): Resource<Configured> {
    return this.#known(this.provider.resources, 'resource', typeName);
  }

  #dataSource(typeName: string): DataSource<Configured> {
    return this.#known(this.provider.dataSources, 'data source', typeName);
  }

  #known<Kind>(kinds: Readonly<Record<string, Kind>>, what: string, typeName: string): Kind {
    const kind = kinds[typeName];
    if (kind !== undefined && Object.hasOwn(kinds, typeName)) return kind;
    throw new DiagnosticError(
      error(
        `Unknown Type "${typeName}"`,
        `Provider ${this.provider.name} has no ${what} "${typeName}"; it has ${Object.keys(kinds).join(', ') || 'none'}.`,
      ),
    );
  }
}
