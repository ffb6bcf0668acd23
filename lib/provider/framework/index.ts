export { DiagnosticError, describe, error, formatPath, hasError, warning } from './diagnostics';
export type { Diagnostic, Path } from './diagnostics';
export { ProviderServer } from './provider-server';
export type { Context, DataSource, Plan, PlanRequest, Provider, Resource } from './resource';
export type { Attribute, Attributes, Nested, Schema, Validator } from './schema';
export { Dynamic, UNKNOWN, isArray, isObject, isSame, isWhollyKnown, show } from './value';
export type { Type, Value, ValueObject } from './value';
