/**
 * Everything heavy: sessions with pools, the engine, the pools file. Loaded when a provider is configured, never
 * before: Terraform starts the provider several times per command only to ask for its schema. In the bundle this
 * module is a part of its own, compressed, so that starting does not even parse it.
 */
export { buryJob, defaultJobId, defaultScheduleId, readJob, writeJob } from '../../engine/jobs';
export { systemClock } from '../../engine/context';
export { codeOf } from '../../engine/errors';
export { missingPermissions } from '../../engine/observe/permissions';
export { deleteReplicas, listReplicas } from '../../engine/replicas';
export { attachSeed } from '../../engine/seed/attach';
export { checkSeed, readSeed } from '../../engine/seed/check';
export { detachSeed } from '../../engine/seed/detach';
export { SeedRefused } from '../../engine/seed/errors';
export { digestsOf, manifestOf } from '../../engine/seed/files/digests';
export { endpoint, findPoolsFile, loadPoolsFile } from '../../pools';
export { Pool, TransportError, XapiError } from '../../xapi';
