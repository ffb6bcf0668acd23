/**
 * A failure as the Xen API reports it: a code and strings. Everything else that escapes from a handler is a defect
 * of the simulator and reaches the client as `INTERNAL_ERROR`.
 */
export class ApiError extends Error {
  readonly code: string;
  readonly params: readonly string[];

  constructor(code: string, ...params: readonly string[]) {
    super([code, ...params].join(' '));
    this.name = 'ApiError';
    this.code = code;
    this.params = params;
  }
}

/** The object that a ref names does not exist (or is of another class). */
export function handleInvalid(className: string, ref: string): ApiError {
  return new ApiError('HANDLE_INVALID', className, ref);
}

/** A failure inside the server, with the text of its exception. */
export function internalError(text: string): ApiError {
  return new ApiError('INTERNAL_ERROR', text);
}

/** Any thrown value as the pair of code and parameters that goes to the client. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (isFailure(error)) return new ApiError(error.code, ...error.params);
  return internalError(error instanceof Error ? error.message : String(error));
}

/** Errors of the storage and transfer parts: they carry the same two members without sharing the class. */
function isFailure(error: unknown): error is { readonly code: string; readonly params: readonly string[] } {
  if (typeof error !== 'object' || error === null) return false;
  const { code, params } = error as { code?: unknown; params?: unknown };
  return typeof code === 'string' && Array.isArray(params);
}
