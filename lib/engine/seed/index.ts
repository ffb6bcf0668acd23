export { attachSeed, type AttachReport, type AttachSeedOptions } from './attach';
export type { DiskVerification, SeedContext, SeedEvent, VerifyMode } from './context';
export { detachSeed, type DetachReport, type DetachSeedOptions } from './detach';
export { SeedDiffers, SeedRefused } from './errors';
export { sampleBytesDefault } from './verify';
export { exportSeed, type ExportReport, type ExportSeedOptions } from './export';
export type { SeedFiles } from './files/contents';
export { readAllDigests, readManifest, type SeedManifest } from './files/manifest';
export { importSeed, type ImportReport, type ImportSeedOptions } from './import';
