/* The pools file: where the pools are, who we are there, and whom to trust. Read by provider, CLI and agent alike. */
export { findPoolsFile } from './find';
export { endpoint, loadPoolsFile, type PoolsFile } from './load';
export { PoolsFileError, type PoolsFileProblem } from './errors';
export { findSource, type FoundSource } from './find-source';
export { parsePoolsText } from './document';
export { readPrivateFile } from './private-file';
