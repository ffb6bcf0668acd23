import { createHash } from 'node:crypto';

/** Namespace of this project's name-based uuids (a random uuid, chosen once and never changed). */
const namespace = '5d0c7b0e-6a0f-4f0b-9c53-6f2d1c6e8a41';

/**
 * The id a job gets where the user names none: uuidv5 (RFC 9562) of target pool and name, so that losing the
 * Terraform state, renaming a construct, or destroying and deploying again all come back to the same replicas.
 */
export function defaultJobId(targetPoolUuid: string, name: string): string {
  return uuidv5(`${targetPoolUuid.toLowerCase()}/${name}`);
}

/** Schedule id of a job; Xen Orchestra's layout wants one, stable as long as the job is. */
export function defaultScheduleId(jobId: string): string {
  return uuidv5(`${jobId}/schedule`);
}

function uuidv5(name: string): string {
  const hash = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name, 'utf8')
    .digest()
    .subarray(0, 16);
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = hash.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
