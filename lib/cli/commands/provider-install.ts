import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  installPackage,
  LockFile,
  mirrorFolderName,
  packageFolder,
  providerAddress,
  readCliConfigurations,
  shutOutAdvice,
  terraformPlatform,
  xenreplPackage,
} from '../../delivery';
import { answer } from '../command';
import type { Command } from '../command';
import { exitCodes } from '../exit-codes';
import { CliError } from '../failure';
import type { Io } from '../io';
import { version } from '../version';

/** Puts the provider into the mirror folder beside a configuration in plain HCL; doing it again changes nothing. */
export function installProvider(command: Command, { folder }: { readonly folder: string }): Promise<number> {
  const { io, note, warn } = command;
  const workingFolder = resolve(io.cwd, folder);
  if (!existsSync(workingFolder)) throw noFolder(workingFolder);
  const platform = terraformPlatform(io.system, io.architecture);
  const mirror = join(workingFolder, mirrorFolderName);
  const provider = xenreplPackage(version, platform, providerBundle(io));
  const hash = installPackage(mirror, provider);
  if (refreshLock(join(workingFolder, '.terraform.lock.hcl'), hash))
    note('.terraform.lock.hcl held the hash of another build of the provider; it holds this one now');
  for (const advice of shutOut(io, workingFolder, mirror)) warn(advice);
  const installed = packageFolder(mirror, provider);
  note(`the provider stands in ${installed}; next: terraform init`);
  const document = { address: providerAddress, version, platform, folder: installed, hash };
  answer(command, document, () => [requiredProviders]);
  return Promise.resolve(exitCodes.ok);
}

const requiredProviders = `terraform {
  required_providers {
    xenrepl = {
      source  = "${providerAddress}"
      version = "${version}"
    }
  }
}`;

/**
 * Terraform refuses a provider whose content changed under the version it has locked. Where there is no entry,
 * `terraform init` makes one itself.
 */
function refreshLock(file: string, hash: string): boolean {
  if (!existsSync(file)) return false;
  const lock = new LockFile(readFileSync(file, 'utf8'));
  const entry = lock.get(providerAddress);
  if (entry === undefined || (entry.version === version && entry.hashes.includes(hash))) return false;
  const renewed = lock.with(providerAddress, { version, constraints: version, hashes: [hash] });
  writeFileSync(file, renewed.toString());
  return true;
}

function shutOut(io: Io, workingFolder: string, mirror: string): readonly string[] {
  return readCliConfigurations(io.env, io.home).flatMap((configuration) => {
    const wanted = { workingFolder, mirror, addresses: [providerAddress] };
    return shutOutAdvice(configuration, wanted) ?? [];
  });
}

function providerBundle({ programFolder }: Io): Uint8Array {
  const file = join(programFolder, 'provider.cjs');
  if (existsSync(file)) return readFileSync(file);
  throw new CliError(
    'no-provider-bundle',
    `Cannot install the provider: provider.cjs is not beside this program in ${programFolder}`,
    'run the xenrepl of the npm package cdktf-xen-replication (npx xenrepl provider install), not a copy of the file; ' +
      'in a checkout of its sources run npm run build first',
  );
}

function noFolder(folder: string): CliError {
  return new CliError(
    'no-folder',
    `Cannot install the provider into ${folder}: there is no such folder`,
    'name the folder of your Terraform configuration',
    exitCodes.usage,
  );
}
