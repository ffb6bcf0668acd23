import { statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const fileName = 'xenrepl.yaml';

/**
 * Where the pools file is: `XENREPL_POOLS_FILE` (taken as it is, even where no such file exists), else the nearest
 * `xenrepl.yaml` from the working directory upwards (Terraform runs providers and provisioners deep inside
 * `cdktf.out`), else `~/.config/xenrepl/pools.yaml`. Null where there is none.
 */
export function findPoolsFile(options: {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly home: string;
}): string | null {
  const named = options.env['XENREPL_POOLS_FILE'];
  if (named !== undefined && named !== '') {
    return resolve(options.cwd, named);
  }
  return nearest(resolve(options.cwd)) ?? existing(join(options.home, '.config', 'xenrepl', 'pools.yaml'));
}

function nearest(folder: string): string | null {
  const here = existing(join(folder, fileName));
  const above = dirname(folder);
  return here !== null || above === folder ? here : nearest(above);
}

function existing(path: string): string | null {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true ? path : null;
}
