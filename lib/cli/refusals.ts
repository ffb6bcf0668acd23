/** Secrets that somebody put into the command line: refused before anything looks at it, and never repeated. */
import { CliError } from './failure';
import { exitCodes } from './exit-codes';

const reason =
  'every user of this machine can read it in the list of processes, and the shell keeps it in its history';
const hint =
  'put it into the pools file, as password_file or password_env, and change it: it may have been seen already';

/** @throws CliError of usage where an argument is, or seems to be, a password. Its text never holds the secret. */
export function refuseSecrets(argv: readonly string[]): void {
  for (const argument of argv) {
    if (isPasswordOption(argument)) {
      const option = argument.split('=')[0] ?? '';
      throw refused(
        `Refused "${option}": a password does not belong into the command line, because ${reason}`,
      );
    }
    if (hasUserInfo(argument)) {
      throw refused(`Refused a URL with credentials in it (user:password@host), because ${reason}`);
    }
  }
}

function refused(message: string): CliError {
  return new CliError('secret-in-arguments', message, hint, exitCodes.usage);
}

/** `--password x`, `--password=x`, `--pass`, `-pw`, `password=x`; whatever is written behind a `=` is not looked at. */
function isPasswordOption(argument: string): boolean {
  return (
    /^--?(pass|pw$|pw=|pwd|secret|token|credential)/i.test(argument) ||
    /^(password|passwd|pwd)=/i.test(argument)
  );
}

function hasUserInfo(argument: string): boolean {
  return /[a-z][a-z0-9+.-]*:\/\/[^/\s?#]*@/i.test(argument);
}
