import { Code, ConnectError } from '@connectrpc/connect';
import { describe } from '../framework/diagnostics';
import type { Diagnostic } from '../framework/diagnostics';
import { objectType } from '../framework/schema';
import type { Schema } from '../framework/schema';
import { isObject } from '../framework/value';
import type { Type, ValueObject } from '../framework/value';
import { toDiagnosticMessage } from './diagnostic-message';
import { decodeValue } from './dynamic-value';
import type { WireValue } from './dynamic-value';

/**
 * Turns diagnostics into messages. What cannot be decoded or encoded fails the call itself: an answer without a state
 * would be taken for "the object is gone".
 */
export async function answer<Reply extends { readonly diagnostics: readonly Diagnostic[] }>(
  work: () => Promise<Reply>,
): Promise<Omit<Reply, 'diagnostics'> & { diagnostics: ReturnType<typeof toDiagnosticMessage>[] }> {
  try {
    const { diagnostics, ...reply } = await work();
    return { ...reply, diagnostics: diagnostics.map(toDiagnosticMessage) };
  } catch (failure) {
    throw new ConnectError(describe(failure), Code.Internal);
  }
}

/** Of an unknown type name nothing is decoded: the server answers with a diagnostic. */
export function typeOfSchema(schema: Schema | undefined): Type {
  return objectType(schema?.attributes ?? {});
}

export function decodeNullable(wire: WireValue | undefined, type: Type): ValueObject | null {
  const value = decodeValue(wire, type);
  return isObject(value) ? value : null;
}

export function decodeObject(wire: WireValue | undefined, type: Type): ValueObject {
  return decodeNullable(wire, type) ?? {};
}
