/** Levels of HashiCorp's logger, which reads what we write. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Plain words and figures about what is going on; never a value of a configuration, which may be a secret. */
export type Log = (
  level: LogLevel,
  message: string,
  details?: Readonly<Record<string, string | number>>,
) => void;

/**
 * Writes one JSON object per line to stderr, where Terraform picks it up and shows it under TF_LOG or TF_LOG_PROVIDER.
 * Where neither is set nobody would see it, so nothing is written.
 */
export function createLog(
  module: string,
  environment: NodeJS.ProcessEnv,
  write: (line: string) => void,
): Log {
  const wanted = ['TF_LOG', 'TF_LOG_PROVIDER'].some((name) => !['', 'OFF'].includes(environment[name] ?? ''));
  if (!wanted) return () => undefined;
  return (level, message, details = {}) => {
    // Terraform's logger reads times with exactly six decimals, and shows anything else as raw text.
    const timestamp = new Date().toISOString().replace('Z', '000Z');
    write(
      `${JSON.stringify({ '@level': level, '@message': message, '@module': module, '@timestamp': timestamp, ...details })}\n`,
    );
  };
}
