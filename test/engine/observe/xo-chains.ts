/** Pools recorded after runs of Xen Orchestra (test/vectors/xo-chains), as worlds. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { World } from '../../../lib/engine/observe/world';

type Records = Record<string, Record<string, unknown>>;
type Side = Record<'VM' | 'VDI' | 'VBD' | 'VIF' | 'SR' | 'network', Records>;

const folder = join(__dirname, '..', '..', 'vectors', 'xo-chains');

/** The dumps hold integers as the wire has them: as texts. */
const integers =
  /^(memory_.*|VCPUs_(max|at_startup)|virtual_size|physical_(size|utilisation)|MTU|order|.*_delay|user_version|hardware_platform_version)$/;

export function chain(name: string): { readonly source: World; readonly target: World } {
  const text = readFileSync(join(folder, `${name}.json`), 'utf8');
  const { source, target } = JSON.parse(text) as Record<'source' | 'target', Side>;
  return { source: toWorld('source', source), target: toWorld('target', target) };
}

function toWorld(poolName: string, side: Side): World {
  return {
    poolName,
    poolUuid: poolName,
    vms: table(side.VM),
    vdis: table(side.VDI),
    vbds: table(side.VBD),
    vifs: table(side.VIF),
    srs: table(side.SR),
    networks: table(side.network),
    tasks: new Map(),
  } as unknown as World;
}

/** Only the fields that matter were dumped of an SR; what is missing is what an ordinary one has. */
const missing = { sm_config: {}, physical_size: 2 ** 40, physical_utilisation: 0 };

function table(records: Records): ReadonlyMap<string, unknown> {
  return new Map(
    Object.entries(records).map(([ref, record]) => {
      const fields = Object.entries(record).map(([name, value]) => [
        name,
        integers.test(name) ? Number(value) : value,
      ]);
      return [ref, { ...missing, ...(Object.fromEntries(fields) as object) }];
    }),
  );
}
