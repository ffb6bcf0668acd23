/** Steps from the resource to a value inside it: attribute names, list positions, map keys. */
export type Path = readonly (string | number | { readonly key: string })[];

/** What Terraform shows: a title, what happened and what to do, and the argument it is about. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  readonly summary: string;
  readonly detail: string;
  readonly path?: Path;
}

export function error(summary: string, detail: string, path?: Path): Diagnostic {
  return { severity: 'error', summary, detail, ...(path && { path }) };
}

export function warning(summary: string, detail: string, path?: Path): Diagnostic {
  return { severity: 'warning', summary, detail, ...(path && { path }) };
}

export function hasError(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some(({ severity }) => severity === 'error');
}

/** Thrown where an operation cannot go on; reaches the user as these diagnostics. */
export class DiagnosticError extends Error {
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: Diagnostic | readonly Diagnostic[], options?: ErrorOptions) {
    const list = 'severity' in diagnostics ? [diagnostics] : diagnostics;
    super(list.map(({ summary, detail }) => `${summary}: ${detail}`).join('\n'), options);
    this.name = 'DiagnosticError';
    this.diagnostics = list;
  }
}

/** What a failed operation tells the user: its own diagnostics, or everything that is known of an unexpected error. */
export function toDiagnostics(
  failure: unknown,
  summary: string,
  signal?: AbortSignal,
): readonly Diagnostic[] {
  if (failure instanceof DiagnosticError) return failure.diagnostics;
  const interrupted = signal?.aborted === true ? 'Terraform asked to stop while this was going on.\n' : '';
  return [error(summary, `${interrupted}${describe(failure)}`)];
}

/** Message, advice (where the error carries one) and causes, outermost first. */
export function describe(failure: unknown): string {
  if (!(failure instanceof Error)) return String(failure);
  const hint = 'hint' in failure && typeof failure.hint === 'string' ? failure.hint : '';
  const advice = hint === '' || failure.message.includes(hint) ? '' : `\n${capital(hint)}`;
  const cause = failure.cause === undefined ? '' : `\nCause: ${describe(failure.cause)}`;
  return `${failure.message}${advice}${cause}`;
}

/** `vm_uuids[0]`, `network_map["LAN"]`: as Terraform writes it. */
export function formatPath(path: Path): string {
  return path
    .map((step, index) => {
      if (typeof step === 'string') return index === 0 ? step : `.${step}`;
      return typeof step === 'number' ? `[${String(step)}]` : `[${JSON.stringify(step.key)}]`;
    })
    .join('');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
