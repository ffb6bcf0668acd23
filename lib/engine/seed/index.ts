export { attachSeed, type AttachReport, type AttachSeedOptions } from './attach';
export type { DiskVerification, SeedContext, SeedEvent, VerifyMode } from './context';
export { detachSeed, type DetachReport, type DetachSeedOptions } from './detach';
export { SeedDiffers, SeedRefused } from './errors';
export { sampleBytesDefault } from './verify';
