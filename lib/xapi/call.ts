/** Bounds of one call or wait. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Overrides the default bound of the method. */
  readonly timeoutMs?: number | undefined;
}
