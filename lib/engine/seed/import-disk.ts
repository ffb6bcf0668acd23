/** A disk that is being filled from a file, with what it is known to hold written on itself. */
import type { Pool, Ref, VdiRecord } from '../../xapi';
import { decode, encode, keys, own } from '../../planner/keys';
import type { SeedDiskMark } from '../../planner/keys';
import type { ObjectId } from '../../planner/observation';
import { ReplicationError } from '../errors';
import type { ResumePoint } from '../data/copy-disk';
import type { Checkpoints } from '../data/write-segments';
import { unlessGone } from '../steps/destroy';
import { assertQuiet } from '../steps/quiet';
import type { SeedContext } from './context';
import type { FileDisk } from './files/contents';
import type { CarriedVm } from './import-vm';

/**
 * How far ahead of the confirmed part bytes may be offered before that is written down again. After an interruption all
 * of it is sent once more with its zeros, since a frame cut short is filled up with stale bytes.
 */
const horizonStepBytes = 1024 ** 3;

export class CarriedDisk implements Checkpoints {
  readonly id: ObjectId;
  readonly sizeBytes: number;
  /** Filled by an earlier try. */
  readonly wasComplete: boolean;
  readonly #target: Pool;
  readonly #bornAs: string;
  #mark: SeedDiskMark;

  constructor(target: Pool, id: ObjectId, sizeBytes: number, mark: SeedDiskMark) {
    this.#target = target;
    this.id = id;
    this.sizeBytes = sizeBytes;
    this.#mark = mark;
    this.#bornAs = temporaryName(mark.files, mark.device);
    this.wasComplete = mark.confirmedBytes >= sizeBytes;
  }

  /** Null where nothing was confirmed: then the disk is new. */
  get resume(): ResumePoint | null {
    const { confirmedBytes, offeredBytes, digest } = this.#mark;
    return confirmedBytes === 0 ? null : { confirmedBytes, offeredBytes, digest };
  }

  async confirmed(endBytes: number, digest: string): Promise<void> {
    const offeredBytes = Math.max(this.#mark.offeredBytes, endBytes);
    await this.#write({ ...this.#mark, confirmedBytes: endBytes, offeredBytes, digest });
  }

  async offering(endBytes: number): Promise<void> {
    const { confirmedBytes, offeredBytes } = this.#mark;
    // Before the first checkpoint there is nothing to go on from: such a disk is made anew.
    if (confirmedBytes === 0 || endBytes <= offeredBytes) return;
    const horizon = Math.ceil(endBytes / horizonStepBytes) * horizonStepBytes;
    await this.#write({ ...this.#mark, offeredBytes: horizon });
  }

  async forget(): Promise<void> {
    await this.#target.call('VDI.remove_from_other_config', [this.id.ref as Ref<'VDI'>, keys.seed]);
    await this.#target.call('VDI.set_name_label', [this.id.ref as Ref<'VDI'>, this.#bornAs]);
  }

  async finish(): Promise<void> {
    const { sizeBytes } = this;
    await this.#write({
      ...this.#mark,
      confirmedBytes: sizeBytes,
      offeredBytes: sizeBytes,
      digest: 'complete',
    });
  }

  /** Two calls: dying in between leaves a disk without a mark, which is made anew. Never the other way round. */
  async #write(mark: SeedDiskMark): Promise<void> {
    const ref = this.id.ref as Ref<'VDI'>;
    await this.#target.call('VDI.remove_from_other_config', [ref, keys.seed]);
    for (const [key, value] of Object.entries(encode.seedDisk(mark))) {
      await this.#target.call('VDI.add_to_other_config', [ref, key, value]);
    }
    this.#mark = mark;
  }
}

/** The disk that an interrupted import left at this position; null where there is none that can be gone on with. */
export async function findDisk(
  target: Pool,
  files: string,
  vm: CarriedVm,
  device: string,
  context: SeedContext,
): Promise<CarriedDisk | null> {
  const vdis = Object.entries(await target.call('VDI.get_all_records', []));
  for (const [ref, vdi] of vdis) {
    const mark = own(decode.seedDisk(vdi.other_config, vdi.uuid));
    const name = vdi.name_label === temporaryName(files, device);
    if (!(mark?.files === files && mark.device === device) && !name) continue;
    if (vdi.is_a_snapshot) continue;
    const id = { ref, uuid: vdi.uuid, name: vdi.name_label };
    await assertOurs(target, vm, id, vdi, device);
    if (mark !== null && mark.confirmedBytes > 0) {
      await attachTo(target, vm, id, vdi, device);
      return new CarriedDisk(target, id, vdi.virtual_size, mark);
    }
    // An upload whose connection died may still be alive on it.
    await assertQuiet(target, id, context.clock, context.signal, { signal: context.signal });
    await destroy(target, ref as Ref<'VDI'>, vm);
  }
  return null;
}

/** A disk that somebody gave to another VM may hold anything by now, and is not ours to write to or to destroy. */
async function assertOurs(
  target: Pool,
  vm: CarriedVm,
  id: ObjectId,
  { VBDs }: VdiRecord,
  device: string,
): Promise<void> {
  for (const vbd of VBDs) {
    const { VM } = await target.call('VBD.get_record', [vbd]);
    if (VM === vm.ref) continue;
    const other = await target.call('VM.get_record', [VM]);
    if (other.is_control_domain) continue;
    throw new ReplicationError(
      'seed-refused',
      `Cannot go on with the import: its disk ${device}, "${id.name}" (${id.uuid}), is attached to VM ` +
        `"${other.name_label}" (${other.uuid}) by now`,
      { retry: 'never', hint: 'detach it there and delete it, then import again: the disk is made anew' },
    );
  }
}

/** Written to, but nothing of it confirmed: worth nothing to anybody. */
async function destroy(target: Pool, ref: Ref<'VDI'>, vm: CarriedVm): Promise<void> {
  for (const vbd of await target.call('VDI.get_VBDs', [ref])) {
    const { VM } = await target.call('VBD.get_record', [vbd]);
    if (VM === vm.ref) await unlessGone(target.call('VBD.destroy', [vbd]));
  }
  await unlessGone(target.callTask('VDI.destroy', [ref]));
}

/** It is born under a name that is its mark, since a real one must name a uuid that it does not have yet. */
export async function makeDisk(
  target: Pool,
  sr: Ref<'SR'>,
  vm: CarriedVm,
  files: string,
  disk: FileDisk,
): Promise<CarriedDisk> {
  const ref = await target.callTask('VDI.create', [
    {
      name_label: temporaryName(files, disk.device),
      name_description: '',
      SR: sr,
      virtual_size: disk.sizeBytes,
      type: 'user',
      sharable: false,
      read_only: false,
      other_config: {},
      xenstore_data: {},
      sm_config: {},
      tags: [],
    },
  ]);
  const vdi = await target.call('VDI.get_record', [ref]);
  const mark: SeedDiskMark = {
    v: 1,
    self: vdi.uuid,
    files,
    device: disk.device,
    confirmedBytes: 0,
    offeredBytes: 0,
    digest: 'none',
  };
  for (const [key, value] of Object.entries(encode.seedDisk(mark))) {
    await target.call('VDI.add_to_other_config', [ref, key, value]);
  }
  await target.call('VDI.set_name_label', [ref, disk.name]);
  const id = { ref, uuid: vdi.uuid, name: disk.name };
  await attachTo(target, vm, id, vdi, disk.device);
  return new CarriedDisk(target, id, vdi.virtual_size, mark);
}

async function attachTo(
  target: Pool,
  vm: CarriedVm,
  id: ObjectId,
  vdi: VdiRecord,
  device: string,
): Promise<void> {
  for (const vbd of vdi.VBDs) {
    if ((await target.call('VBD.get_record', [vbd])).VM === vm.ref) return;
  }
  await target.call('VBD.create', [
    {
      VM: vm.ref as Ref<'VM'>,
      VDI: id.ref as Ref<'VDI'>,
      userdevice: device,
      bootable: device === '0',
      mode: 'RW',
      type: 'Disk',
      unpluggable: true,
      empty: false,
      other_config: {},
      qos_algorithm_type: '',
      qos_algorithm_params: {},
    },
  ]);
}

function temporaryName(files: string, device: string): string {
  return `[xenrepl import ${files}] disk ${device}`;
}
