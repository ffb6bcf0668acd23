/** NBD as XenServer and XCP-ng speak it: fixed newstyle, STARTTLS, EXPORT_NAME, reads. Never in clear. */
export { NbdError, type NbdFailure } from './errors';
export { listening, whereOf, type NbdServer, type NbdTimings } from './open';
export { NbdReach } from './reach';
export { NbdReader, type NbdPiece, type NbdReaderOptions, type NbdRange } from './reader';
