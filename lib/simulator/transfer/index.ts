/** Disk and VM transfers at wire level: what a pool answers on /export_raw_vdi, /import_raw_vdi, /export and /import. */
import type { TransferOutcome, TransferPool, TransferRequest } from './pool-side';

export { serveExportRawVdi } from './export-raw-vdi';
export { serveImportRawVdi } from './import-raw-vdi';
export type * from './pool-side';

/** A handler owns the socket from the call until it settles. It never rejects for what a client or a disk does. */
export type TransferHandler = (request: TransferRequest, pool: TransferPool) => Promise<TransferOutcome>;

/** GET /export and /export_metadata */
export const serveExport: TransferHandler = () => Promise.reject(new Error('XVA export is being written'));
/** PUT /import and /import_metadata */
export const serveImport: TransferHandler = () => Promise.reject(new Error('XVA import is being written'));
