/** What Terraform sets so that a plugin knows it was started by Terraform and not by a curious person. */
const magicCookie = 'd602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2';

const coreProtocol = 1;
export const pluginProtocol = 6;

/** Why this environment is not that of a plugin; null where all is well. */
export function refusal(environment: NodeJS.ProcessEnv): string | null {
  if (environment['TF_PLUGIN_MAGIC_COOKIE'] !== magicCookie) {
    return (
      'This is a plugin of Terraform and OpenTofu: they start it during plan and apply. ' +
      'Name it in required_providers instead of starting it by hand.'
    );
  }
  const offered = environment['PLUGIN_PROTOCOL_VERSIONS'];
  if (offered !== undefined && !offered.split(',').includes(String(pluginProtocol))) {
    return `xenrepl needs plugin protocol ${String(pluginProtocol)}, this Terraform offers ${offered}: use Terraform 1.0 or newer`;
  }
  return null;
}

/** The one line on stdout: where the provider listens, and the only certificate to trust (DER, base64, unpadded). */
export function handshakeLine(socketPath: string, certificateDer: Uint8Array | null): string {
  const certificate =
    certificateDer === null ? '' : Buffer.from(certificateDer).toString('base64').replace(/=+$/, '');
  return [coreProtocol, pluginProtocol, 'unix', socketPath, 'grpc', certificate].join('|');
}
