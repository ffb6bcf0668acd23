/** Releases that can be simulated. `8.3` is XenServer 8, `xcp-8.3` XCP-ng of the same series. */
export type Release = '6.5' | '7.0' | '7.3' | '8.2' | '8.3' | 'xcp-8.3';

/** What a release of the server is called and which quirks of its time it has. */
export interface ReleaseFacts {
  /** Newest entry of the datamodel it knows: a code name, or a xapi version since those took over. */
  readonly newest: string;
  readonly apiMinor: number;
  readonly productVersion: string;
  readonly productBrand: 'XenServer' | 'XCP-ng';
  readonly platformVersion: string;
  readonly xapiBuild: string;
  /** Limit of request line plus headers on the TCP port; came in 2022, 0 where there is none. */
  readonly headerLimitBytes: number;
  /** Replies to JSON-RPC 2.0 requests in the 2.0 shape (since August 2017); before, always in the 1.0 shape. */
  readonly jsonRpc2: boolean;
  /** `/import_raw_vdi` puts the VDI into the task's result (since xapi 1.13); before, the result is empty. */
  readonly importResult: boolean;
  /** Raw import honours Content-Length (since December 2014); before, the whole device had to be sent. */
  readonly rawImportLength: boolean;
  /** VHD import finds the last footer by Content-Length (since August 2018); before, right after the last block. */
  readonly vhdFooterByLength: boolean;
  /** Constructors demand the name members too: they got their defaults in later releases. */
  readonly strictConstructors: boolean;
}

const modern = {
  jsonRpc2: true,
  importResult: true,
  rawImportLength: true,
  vhdFooterByLength: true,
  strictConstructors: false,
} as const;

export const releases: Readonly<Record<Release, ReleaseFacts>> = {
  '6.5': {
    newest: 'creedence',
    apiMinor: 3,
    productVersion: '6.5.0',
    productBrand: 'XenServer',
    platformVersion: '1.9.0',
    xapiBuild: '1.3',
    headerLimitBytes: 0,
    jsonRpc2: false,
    importResult: false,
    rawImportLength: false,
    vhdFooterByLength: false,
    strictConstructors: true,
  },
  '7.0': {
    newest: 'dundee',
    apiMinor: 5,
    productVersion: '7.0.0',
    productBrand: 'XenServer',
    platformVersion: '2.1.0',
    xapiBuild: '1.14.3',
    headerLimitBytes: 0,
    jsonRpc2: false,
    importResult: false,
    rawImportLength: true,
    vhdFooterByLength: false,
    strictConstructors: true,
  },
  '7.3': {
    ...modern,
    newest: 'inverness',
    apiMinor: 8,
    productVersion: '7.3.0',
    productBrand: 'XenServer',
    platformVersion: '2.5.0',
    xapiBuild: '1.65.0',
    headerLimitBytes: 0,
    vhdFooterByLength: false,
    strictConstructors: true,
  },
  '8.2': {
    ...modern,
    newest: 'stockholm_psr',
    apiMinor: 15,
    productVersion: '8.2.1',
    productBrand: 'XenServer',
    platformVersion: '3.2.1',
    xapiBuild: '1.249.38',
    headerLimitBytes: 0,
  },
  '8.3': {
    ...modern,
    newest: '24.19.2',
    apiMinor: 21,
    productVersion: '8.4.0',
    productBrand: 'XenServer',
    platformVersion: '3.4.0',
    xapiBuild: '24.19.2',
    headerLimitBytes: 1024,
  },
  'xcp-8.3': {
    ...modern,
    newest: '24.19.2',
    apiMinor: 21,
    productVersion: '8.3.0',
    productBrand: 'XCP-ng',
    platformVersion: '3.4.0',
    xapiBuild: '24.19.2',
    headerLimitBytes: 1024,
  },
};

/**
 * Puts the names of `since` and `removed` into one order: code names of releases first, then xapi versions,
 * which took over after 8.2 (1.249). Entries of the datamodel newer than the release do not exist in it.
 */
export function releaseRank(name: string, codeNames: readonly string[]): number {
  const version = /^(\d+)\.(\d+)\.(\d+)/.exec(name);
  if (version !== null) {
    const [, major, minor, patch] = version.map(Number);
    return 1000 + (major ?? 0) * 1_000_000 + (minor ?? 0) * 1000 + (patch ?? 0);
  }
  const place = codeNames.indexOf(name);
  if (place < 0) throw new Error(`the datamodel names an unknown release "${name}"`);
  return place;
}
