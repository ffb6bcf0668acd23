import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Release } from '../datamodel/releases';
import type { Row } from '../database/table';
import type { HostCertificate } from '../http/certificate';
import { Line } from '../line';
import type { Pool } from '../pool/pool';
import type { HostPlace } from '../populate/infrastructure';

const version = 1;
/** Changes are gathered this long before they are written. */
const saveDelayMs = 250;
const fileName = 'pool.json';

interface SavedHost {
  readonly ref: string;
  readonly name: string;
  readonly controlDomain: string;
  readonly ip: string;
  readonly port: number;
  readonly certificate: HostCertificate;
}

/** A pool as it stands in its state folder. The keys of its hosts are in it, so the file is for its owner alone. */
export interface SavedPool {
  readonly version: number;
  readonly release: Release;
  readonly generation: number;
  readonly randomPosition: number;
  readonly hosts: readonly SavedHost[];
  readonly vtpmContents: Readonly<Record<string, string>>;
  readonly tables: Readonly<Record<string, Readonly<Record<string, Row>>>>;
}

/** Classes that a restart of the toolstack empties. */
const fleeting = new Set(['session', 'task']);

/** What a former process left in the folder; null when it is new. @throws Error when the file cannot be understood. */
export async function loadPool(folder: string): Promise<SavedPool | null> {
  const path = join(folder, fileName);
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const saved = JSON.parse(content) as SavedPool;
  if (saved.version !== version)
    throw new Error(
      `${path} has version ${saved.version}, this simulator reads ${version}; use a new state folder`,
    );
  return saved;
}

/** Fills an empty pool from what was saved. Transfers of the former process are gone, and with them their VBDs. */
export function restorePool(pool: Pool, saved: SavedPool, places: readonly HostPlace[]): void {
  const { db } = pool;
  for (const [className, rows] of Object.entries(saved.tables))
    for (const [ref, row] of Object.entries(rows)) db.restore(className, ref, row);
  db.restoreGeneration(saved.generation);
  pool.random.restore(saved.randomPosition);
  for (const [ref, contents] of Object.entries(saved.vtpmContents)) pool.vtpmContents.set(ref, contents);
  for (const host of saved.hosts) {
    const place = places.find((candidate) => candidate.name === host.name);
    if (place === undefined)
      throw new Error(`the saved pool has host "${host.name}", for which no socket was opened`);
    db.set('host', host.ref, 'address', place.address);
    const { address, location } = place;
    const certificatePem = place.certificate.certificatePem;
    const uuid = db.text('host', host.ref, 'uuid');
    pool.hosts.push({
      ref: host.ref,
      uuid,
      name: host.name,
      controlDomain: host.controlDomain,
      address,
      location,
      certificatePem,
      line: new Line(),
    });
  }
  pool.restartCoordinator();
}

/** Writes a pool into its folder some time after each change, and when it is closed. */
export class Saver {
  readonly #pool: Pool;
  readonly #folder: string;
  readonly #places: readonly HostPlace[];
  readonly #unlisten: () => void;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(pool: Pool, folder: string, places: readonly HostPlace[]) {
    this.#pool = pool;
    this.#folder = folder;
    this.#places = places;
    this.#unlisten = pool.db.onChange(() => this.#soon());
    this.#soon();
  }

  /** Writes what has changed and stops. */
  async close(): Promise<void> {
    this.#unlisten();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#write();
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      void this.#write().catch(() => this.#soon());
    }, saveDelayMs);
  }

  #write(): Promise<void> {
    this.#writing = this.#writing.then(() => savePool(this.#pool, this.#folder, this.#places));
    return this.#writing;
  }
}

async function savePool(pool: Pool, folder: string, places: readonly HostPlace[]): Promise<void> {
  const { db } = pool;
  const tables = db.tables().filter(([name]) => !fleeting.has(name));
  const saved: SavedPool = {
    version,
    release: pool.release,
    generation: db.generation,
    randomPosition: pool.random.position,
    vtpmContents: Object.fromEntries(pool.vtpmContents),
    tables: Object.fromEntries(tables.map(([name, table]) => [name, Object.fromEntries(table.rows())])),
    hosts: pool.hosts.flatMap((host, index) => {
      const place = places[index];
      return place === undefined ? [] : [savedHost(host.ref, host.controlDomain, place)];
    }),
  };
  await mkdir(folder, { recursive: true });
  const path = join(folder, fileName);
  await writeFile(`${path}.new`, JSON.stringify(saved), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

function savedHost(ref: string, controlDomain: string, place: HostPlace): SavedHost {
  const { name, ip, port, certificate } = place;
  return { ref, name, controlDomain, ip, port, certificate };
}
