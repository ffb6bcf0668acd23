/** What XAPI answers, as OPERATION_BLOCKED, to whoever tries to start a VM that was made from the files of a seed. */
export const importedText =
  'This VM was carried here as the seed of a replica: attach it to its job (xenrepl seed attach), or delete it.';
