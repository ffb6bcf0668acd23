/*
 * How a provider written in JavaScript reaches Terraform without being installed: a mirror folder with a launcher and
 * its bundle, and the entries of the lock file. Used at synth by the constructs and by the CLI for plain HCL.
 */
export { readCliConfigurations, shutOutAdvice } from './cli-configuration';
export type { CliConfiguration, WantedMirror } from './cli-configuration';
export { providerLauncher, versionCheck, versionCheckName } from './launcher';
export { LockFile } from './lock-file';
export type { LockEntry } from './lock-file';
export { packageHash } from './package-hash';
export type { PackageFiles } from './package-hash';
export { terraformPlatform } from './platform';
export {
  holdsNullStandIn,
  installPackage,
  mirrorFolderName,
  nullPackage,
  packageFolder,
  providerAddress,
  removeProvider,
  writeIfDifferent,
  xenreplPackage,
} from './provider-package';
export type { ProviderPackage } from './provider-package';
export { requiredProvidersBlock } from './required-providers';
