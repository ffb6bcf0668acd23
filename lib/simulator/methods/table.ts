import type { MethodName } from '../../xapi/methods';
import type { Records } from '../../xapi/records';
import type { Datamodel, Message } from '../datamodel/model';
import { ApiError } from '../errors';
import type { Handler, Handlers } from '../pool/call';
import { dataSources } from './data-source';
import { events } from './event';
import { hostsAndPool } from './host';
import { implicitHandler, plainSetter } from './implicit';
import { messages } from './message';
import { networks } from './network';
import { sessions } from './session';
import { srs } from './sr';
import { tasks } from './task';
import { vbds } from './vbd';
import { vdis } from './vdi';
import { vdiCopies } from './vdi-copy';
import { vdiTracking } from './vdi-tracking';
import { vifs } from './vif';
import { vmCreation } from './vm-create';
import { vmPower } from './vm-power';
import { vmSettings } from './vm-settings';
import { vmBranching } from './vm-snapshot';
import { vtpms } from './vtpm';

const implemented = {
  ...dataSources,
  ...events,
  ...hostsAndPool,
  ...messages,
  ...networks,
  ...sessions,
  ...srs,
  ...tasks,
  ...vbds,
  ...vdiCopies,
  ...vdiTracking,
  ...vdis,
  ...vifs,
  ...vmBranching,
  ...vmCreation,
  ...vmPower,
  ...vmSettings,
  ...vtpms,
};

type FieldsOf<C extends keyof Records> = keyof Records[C] & string;
type ClassMessages<C extends keyof Records> =
  | `${C}.get_${'record' | 'all' | 'all_records' | 'all_records_where' | 'by_uuid' | 'by_name_label'}`
  | `${C}.${'get' | 'set' | 'add_to' | 'remove_from' | 'add' | 'remove'}_${FieldsOf<C>}`;
/** Messages that {@link implicitHandler} answers from the database. */
type FromDatabase =
  | { [C in keyof Records]: ClassMessages<C> }[keyof Records]
  | 'session.get_is_local_superuser'
  | 'session.get_rbac_permissions';

/** A message that the client library sends and that nothing here carries out does not compile. */
const handlers: Handlers = implemented satisfies Record<Exclude<MethodName, FromDatabase>, Handler>;

/** Classes whose setters write into the database and have no further effect that a client could see. */
const plainClasses = new Set([
  'VM',
  'VDI',
  'VBD',
  'VIF',
  'SR',
  'PBD',
  'network',
  'task',
  'pool',
  'host',
  'VTPM',
]);

/**
 * What carries out a message: its own handler, or the database. A message that needs a hypervisor, a switch or the like
 * fails as an unsupported call does; it never succeeds without doing anything.
 */
export function findHandler(model: Datamodel, message: Message): Handler {
  const fields = model.classes.get(message.owner)?.fields ?? new Map<string, never>();
  return (
    handlers[message.full] ??
    implicitHandler(message, fields) ??
    (plainClasses.has(message.owner) ? plainSetter(message, fields) : undefined) ??
    (() => {
      throw new ApiError('NOT_IMPLEMENTED', message.full);
    })
  );
}
