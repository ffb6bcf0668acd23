/** The peer: `curl`, over the same connections to the same pools. */
import { join } from 'node:path';
import type { Pool, Ref, VdiCreateRecord } from '../lib/xapi';
import { destroySnapshot } from './site';
import type { BenchSite, Side } from './site';
import type { Processes } from './processes';

export interface CurlFigures {
  readonly wallMs: number;
  /** Of all its processes together. */
  readonly cpuMs: number;
}

/** Copies and reads a snapshot of one disk, as a person with a shell would. */
export class CurlPeer implements AsyncDisposable {
  /** Length of the snapshot's VHD. */
  readonly bytes: number;
  readonly vdiUuid: string;
  readonly #processes: Processes;
  readonly #site: BenchSite;
  readonly #pools: Readonly<Record<Side, Pool>>;
  readonly #snapshot: Ref<'VM'>;
  #proved = false;

  private constructor(
    processes: Processes,
    site: BenchSite,
    pools: Readonly<Record<Side, Pool>>,
    taken: { readonly snapshot: Ref<'VM'>; readonly vdiUuid: string; readonly bytes: number },
  ) {
    this.#processes = processes;
    this.#site = site;
    this.#pools = pools;
    this.#snapshot = taken.snapshot;
    this.vdiUuid = taken.vdiUuid;
    this.bytes = taken.bytes;
  }

  /** Reads the disk once, so that the first round is not the one that finds everything cold. */
  static async start(processes: Processes, site: BenchSite, vmName: string): Promise<CurlPeer> {
    const [source, target] = await Promise.all([site.connect('source'), site.connect('target')]);
    const vm = await source.call('VM.get_by_uuid', [await site.control('source').vmUuid(vmName)]);
    const snapshot = await source.call('VM.snapshot', [vm, 'the peer', []]);
    const vdiUuid = await site
      .control('source')
      .diskOf((await source.call('VM.get_record', [snapshot])).uuid, 0);
    const peer = new CurlPeer(processes, site, { source, target }, { snapshot, vdiUuid, bytes: 0 });
    const { stdout } = await peer.#bash(`${await peer.#reading('source', vdiUuid)} -w '%{size_download}'`);
    return new CurlPeer(processes, site, { source, target }, { snapshot, vdiUuid, bytes: Number(stdout) });
  }

  /** The export, piped into an import of the same VHD. @throws Error where its first copy is not equal */
  async copy(sizeBytes: number): Promise<CurlFigures> {
    const from = await this.#address('source', 'export_raw_vdi', this.vdiUuid);
    return this.#into(
      sizeBytes,
      (to) =>
        `curl -skf '${from}' | curl -skf -H 'Transfer-Encoding:' -H 'Content-Length: ${String(this.bytes)}' -T - '${to}'`,
    );
  }

  /** The import alone, of a file that was kept. */
  async write(sizeBytes: number, file: string): Promise<CurlFigures> {
    return this.#into(sizeBytes, (to) => `curl -skf -T '${file}' '${to}'`);
  }

  /** The snapshot's VHD as a file. */
  async keep(): Promise<string> {
    const file = join(this.#site.folder, 'peer.vhd');
    await this.#bash(
      `curl -skf -o '${file}' '${await this.#address('source', 'export_raw_vdi', this.vdiUuid)}'`,
    );
    return file;
  }

  /** Disks of either pool, all at once. */
  async read(disks: readonly (readonly [Side, string])[]): Promise<CurlFigures> {
    const readings = await Promise.all(disks.map(([side, vdi]) => this.#reading(side, vdi)));
    return this.#timed(
      `${readings.map((one) => `${one} & pids+=($!)`).join('; ')}; for p in "\${pids[@]}"; do wait $p || exit 1; done`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { source, target } = this.#pools;
    const { VBDs } = await source.call('VM.get_record', [this.#snapshot]);
    await destroySnapshot(source, this.#snapshot, VBDs);
    await Promise.all([source.disconnect(), target.disconnect()]);
  }

  async #into(sizeBytes: number, command: (to: string) => string): Promise<CurlFigures> {
    const { target } = this.#pools;
    const [sr] = await target.call('SR.get_by_name_label', ['target-sr']);
    if (sr === undefined) throw new Error('the target pool has no SR "target-sr"');
    const made = await target.call('VDI.create', [emptyDisk(sr, sizeBytes)]);
    const { uuid } = await target.call('VDI.get_record', [made]);
    const figures = await this.#timed(command(await this.#address('target', 'import_raw_vdi', uuid)));
    // Its others are made of the same bytes by the same command.
    if (!this.#proved) await this.#site.assertSameContent(this.vdiUuid, uuid, 'the copy by curl');
    this.#proved = true;
    await target.call('VDI.destroy', [made]);
    return figures;
  }

  async #reading(side: Side, vdi: string): Promise<string> {
    return `curl -skf -o /dev/null '${await this.#address(side, 'export_raw_vdi', vdi)}'`;
  }

  async #address(side: Side, path: string, vdiUuid: string): Promise<string> {
    const pool = this.#pools[side];
    const vdi = await pool.call('VDI.get_by_uuid', [vdiUuid]);
    return `${this.#site.url(side)}/${path}?format=vhd&vdi=${vdi}&session_id=${pool.sessionRef}`;
  }

  async #timed(command: string): Promise<CurlFigures> {
    const startedMs = performance.now();
    const { stderr } = await this.#bash(`TIMEFORMAT='%U %S'; time ( ${command} )`);
    const wallMs = performance.now() - startedMs;
    const [user = NaN, system = NaN] = (stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
    return { wallMs, cpuMs: (user + system) * 1000 };
  }

  async #bash(command: string): Promise<{ readonly stdout: string; readonly stderr: string }> {
    const ended = await this.#processes.run('bash', ['-o', 'pipefail', '-c', command]);
    if (ended.code !== 0)
      throw new Error(`curl ended with ${String(ended.code ?? ended.signal)}: ${ended.stderr}`);
    return ended;
  }
}

function emptyDisk(sr: Ref<'SR'>, sizeBytes: number): VdiCreateRecord {
  return {
    name_label: 'the peer',
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
