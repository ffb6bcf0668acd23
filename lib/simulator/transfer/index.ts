/** Disk and VM transfers at wire level: what a pool answers on /export_raw_vdi, /import_raw_vdi, /export and /import. */
import type { TransferOutcome, TransferPool, TransferRequest } from './pool-side';

export { serveExportRawVdi } from './export-raw-vdi';
export { serveExport } from './export-xva';
export { serveImportRawVdi } from './import-raw-vdi';
export { serveImport } from './import-xva';
export type * from './pool-side';

/** A handler owns the socket from the call until it settles. It never rejects for what a client or a disk does. */
export type TransferHandler = (request: TransferRequest, pool: TransferPool) => Promise<TransferOutcome>;
