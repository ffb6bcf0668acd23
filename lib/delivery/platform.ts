/** Node's names to Terraform's, as they appear in the folder names of a provider mirror. */
const systems: Readonly<Record<string, string>> = { linux: 'linux', darwin: 'darwin' };
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/**
 * The platform folder Terraform looks for on this machine, e.g. `linux_amd64`.
 *
 * @throws where the provider cannot run: its launcher is a shell script, so Windows has to wait.
 */
export function terraformPlatform(system: string, architecture: string): string {
  const os = systems[system];
  const cpu = architectures[architecture];
  if (os === undefined || cpu === undefined) {
    throw new Error(unsupported(system, architecture));
  }
  return `${os}_${cpu}`;
}

function unsupported(system: string, architecture: string): string {
  const advice =
    system === 'win32' ? '; on Windows run the same commands inside WSL 2, which counts as linux' : '';
  return (
    `The xenrepl provider cannot be delivered on ${system}/${architecture}: it is started by a shell script ` +
    `and runs on linux and darwin, x64 and arm64 (Node's names)${advice}`
  );
}
