export { Pool, type ConnectOptions } from './pool';
export type { ReceivedBy } from './dial';
export type { CallOptions } from './call';
export type { ServingHost } from './hosts';
export type { ObjectFollower, ObjectTables } from './follow-objects';
export type { ObjectSelection, ObjectsRead, ReadableClass } from './read-objects';
export type { PoolEndpoint, TlsPolicy } from './endpoint';
export type { DiskExport, DiskImport, ExportRequest, ImportRequest, VmExportRequest } from './transfer';
export { parseTaskResult as parseXmlRpcValue, type XmlValue } from './xml-value';
export { XapiError, TransportError, classify, type Advice, type Retry, type TransportKind } from './errors';
export { parseXapiDate, formatXapiDate } from './dates';
export { NULL_REF, isNullRef, type ClassName, type Ref, type Uuid } from './refs';
export type * from './records';
export type {
  MethodName,
  Params,
  Result,
  VbdCreateRecord,
  VdiCreateRecord,
  VifCreateRecord,
  VmCreateRecord,
  XapiMethods,
} from './methods';
