/** The peer of every full copy: `curl` of the export, piped into `curl` of an import of the same VHD. */
import { spawnSync } from 'node:child_process';
import type { Ref, VdiCreateRecord } from '../lib/xapi';
import type { BenchSite } from './site';

export interface CurlFigures {
  readonly wallMs: number;
  /** Of both processes together. */
  readonly cpuMs: number;
  readonly bytes: number;
}

/** @param rounds how often the same copy is made, each into a new disk */
export async function curlCopies(
  site: BenchSite,
  sizeBytes: number,
  rounds: number,
): Promise<readonly CurlFigures[]> {
  const [source, target] = await Promise.all([site.connect('source'), site.connect('target')]);
  try {
    const uuid = await site.source.diskOf(await site.source.vmUuid('db1'), 0);
    const disk = await source.call('VDI.get_by_uuid', [uuid]);
    const [sr] = await target.call('SR.get_by_name_label', ['target-sr']);
    if (sr === undefined) throw new Error('no SR "target-sr"');
    const from = `${site.url('source')}/export_raw_vdi?format=vhd&vdi=${disk}&session_id=${source.sessionRef}`;
    const length = run(`curl -sk -o /dev/null -w '%{size_download}' '${from}'`).stdout;
    const figures: CurlFigures[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const made = await target.call('VDI.create', [emptyDisk(sr, sizeBytes)]);
      const to = `${site.url('target')}/import_raw_vdi?format=vhd&vdi=${made}&session_id=${target.sessionRef}`;
      const startedMs = performance.now();
      const { stderr } = run(
        `TIMEFORMAT='%U %S'; time (curl -sk '${from}' | ` +
          `curl -skf -H 'Transfer-Encoding:' -H 'Content-Length: ${length}' -T - '${to}')`,
      );
      const wallMs = performance.now() - startedMs;
      const [user = NaN, system = NaN] = (stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
      figures.push({ wallMs, cpuMs: (user + system) * 1000, bytes: Number(length) });
      await target.call('VDI.destroy', [made]);
    }
    return figures;
  } finally {
    await Promise.all([source.disconnect(), target.disconnect()]);
  }
}

function run(command: string): { readonly stdout: string; readonly stderr: string } {
  const { status, stdout, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', command], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`curl ended with ${String(status)}: ${stderr}`);
  return { stdout, stderr };
}

function emptyDisk(sr: Ref<'SR'>, sizeBytes: number): VdiCreateRecord {
  return {
    name_label: 'curl',
    name_description: '',
    SR: sr,
    virtual_size: sizeBytes,
    type: 'user',
    sharable: false,
    read_only: false,
    other_config: {},
    xenstore_data: {},
    sm_config: {},
    tags: [],
  };
}
