import type { Path } from './diagnostics';
import type { Type, Value } from './value';

/** Attributes nested in one: an object, or a list or map of objects. */
export interface Nested {
  readonly nesting: 'single' | 'list' | 'map';
  readonly attributes: Attributes;
}

/** Looks at a known value that is not null; answers what is wrong with it, as one sentence. */
export type Validator = (value: Value) => string | null;

export interface Attribute {
  readonly type: Type | Nested;
  /** Markdown, one or two sentences; also becomes the documentation of generated bindings. */
  readonly description: string;
  readonly required?: boolean;
  readonly optional?: boolean;
  /** The provider may choose the value; needed where there is a default. */
  readonly computed?: boolean;
  /** Hidden in output. It still stands in clear text in the state. */
  readonly sensitive?: boolean;
  /** Never stored: null in plan and state, to be read from the configuration only. */
  readonly writeOnly?: boolean;
  readonly deprecated?: boolean;
  /** Taken where the configuration says nothing; written into the plan, so that state and configuration agree. */
  readonly default?: Value;
  readonly validate?: readonly Validator[];
  /** A change cannot be made in place: the object is destroyed and created again. */
  readonly requiresReplace?: boolean;
  /** Two known spellings of one thing (letter case of a uuid, `60m` and `1h`): the one in the state is kept. */
  readonly sameAs?: (left: Value, right: Value) => boolean;
}

export type Attributes = Readonly<Record<string, Attribute>>;

export interface Schema {
  readonly version: number;
  readonly description: string;
  readonly attributes: Attributes;
}

export function isNested(type: Type | Nested): type is Nested {
  return typeof type === 'object' && 'nesting' in type;
}

/** The type of the values of an attribute, nested ones spelled out. */
export function typeOf(attribute: Attribute): Type {
  if (!isNested(attribute.type)) return attribute.type;
  const object = objectType(attribute.type.attributes);
  return attribute.type.nesting === 'single' ? object : [attribute.type.nesting, object];
}

export function objectType(attributes: Attributes): Type {
  return [
    'object',
    Object.fromEntries(Object.entries(attributes).map(([name, attribute]) => [name, typeOf(attribute)])),
  ];
}

/** Path of a member below `path`. */
export function below(path: Path, step: Path[number]): Path {
  return [...path, step];
}
