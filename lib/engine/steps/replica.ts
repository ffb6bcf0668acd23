/** Makes the replica VM, protected from being started before it has a disk. */
import { NULL_REF } from '../../xapi';
import type { Ref, VmCreateRecord, VmRecord } from '../../xapi';
import { encode } from '../../planner/keys';
import { temporaryName } from '../../planner/marks';
import type { ObjectId } from '../../planner/observation';
import { wantedSettings } from '../../planner/settings';
import { workOf } from '../attempt';
import type { Attempt } from '../attempt';
import { settingsOf } from '../observe/settings';

/** What XAPI answers, as OPERATION_BLOCKED, to whoever tries to start a replica. */
export const startBlockedText =
  'This VM is a replica: starting it would break its replication. Clone its newest snapshot and start the clone.';

export async function createReplica(attempt: Attempt, sourceVm: ObjectId): Promise<void> {
  const { target, job } = attempt;
  const source = attempt.made.need('snapshot').record;
  const name = temporaryName(workOf(attempt, 'replica'), sourceVm.name);
  const ref = await target.call('VM.create', [toCreate(source, name)]);
  // VM.create ignores blocked_operations: block before a disk is attached.
  for (const operation of ['start', 'start_on']) {
    await target.call('VM.add_to_blocked_operations', [ref, operation, startBlockedText]);
  }
  const uuid = await target.call('VM.get_uuid', [ref]);
  const otherConfig = await target.call('VM.get_other_config', [ref]);
  const mark = encode.replica({
    v: 1,
    self: uuid,
    job: job.jobId,
    sourceVm: sourceVm.uuid,
    sr: job.target.srUuid,
  });
  await target.call('VM.set_other_config', [
    ref,
    { ...otherConfig, ...mark, 'xo:backup:sr': job.target.srUuid },
  ]);
  await target.call('VM.set_name_label', [ref, sourceVm.name]);
  attempt.made.replica = { ref, uuid, name: sourceVm.name };
}

/** Every member that any release since 6.5 demands; affinity, HA, appliance and auto power-on are left empty. */
function toCreate(source: VmRecord, name: string): VmCreateRecord {
  const settings = wantedSettings(settingsOf(source));
  const macSeed = source.other_config['mac_seed'];
  return {
    ...settings,
    name_label: name,
    is_a_template: false,
    affinity: NULL_REF as Ref<'host'>,
    ha_restart_priority: '',
    PCI_bus: source.PCI_bus,
    other_config: macSeed === undefined ? {} : { mac_seed: macSeed },
    blocked_operations: {},
    user_version: source.user_version ?? 1,
    ...(source.bios_strings === undefined ? {} : { bios_strings: source.bios_strings }),
  };
}
