/** Names of the XAPI classes this project touches, spelled as on the wire. */
export type ClassName =
  | 'VM'
  | 'VM_metrics'
  | 'VDI'
  | 'VBD'
  | 'VIF'
  | 'VTPM'
  | 'SR'
  | 'PBD'
  | 'PIF'
  | 'SM'
  | 'host'
  | 'host_metrics'
  | 'pool'
  | 'network'
  | 'task'
  | 'session'
  | 'message';

declare const refBrand: unique symbol;
declare const uuidBrand: unique symbol;

/**
 * Opaque reference, valid in one pool only and unrelated to the object's uuid.
 * Branded by class, so that the ref of a snapshot VM cannot be given where a disk is meant.
 */
export type Ref<C extends ClassName = ClassName> = string & { readonly [refBrand]: C };

/** The `uuid` field of an object; lower case on the wire, but users write it in any case. */
export type Uuid<C extends ClassName = ClassName> = string & { readonly [uuidBrand]: C };

/** What XAPI writes where there is no object. Old databases also hold the empty string. */
export const NULL_REF = 'OpaqueRef:NULL';

/** True where a ref field names no object. */
export function isNullRef(ref: string): boolean {
  return ref === NULL_REF || ref === '';
}
