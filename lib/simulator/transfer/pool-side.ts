/**
 * What the transfer handlers and the NBD server need of the control plane, and nothing else: they never touch the database.
 *
 * Failures: every method that may fail as an API call does rejects with an object that has `code` and `params`
 * ({@link ApiFailure}); the handlers put those into the task. Anything else is a defect of the simulator and becomes
 * `INTERNAL_ERROR`.
 */
import type { Duplex } from 'node:stream';

import type { Line } from '../line';
import type { ImageStore } from '../storage';

/** An API error as a XenServer reports it: `code` and the strings behind it. */
export interface ApiFailure {
  readonly code: string;
  readonly params: readonly string[];
}

/** A request whose path and method matched a transfer route; its head is parsed, its body is not read. */
export interface TransferRequest {
  readonly method: 'GET' | 'PUT';
  readonly path: string;
  /** Request target as it was sent, from the first `/` to the blank: a 302 repeats it to the letter. */
  readonly target: string;
  /** Percent-decoded pairs in order; duplicate keys stay separate and the first wins. */
  readonly query: readonly (readonly [string, string])[];
  /** Header lines in order, names in lower case, values trimmed. */
  readonly headers: readonly (readonly [string, string])[];
  readonly httpVersion: '1.0' | '1.1';
  /**
   * Paused, without listeners of its own. The server it comes from must be made with `allowHalfOpen`: clients that have sent
   * everything may close their side while the answer is still to come.
   */
  readonly socket: Duplex;
  /** Bytes of the body that came in together with the head. */
  readonly buffered: Buffer;
  /** The host that received the request. */
  readonly host: TransferHost;
}

/**
 * How a handler left the connection. `next-request`: the real server goes on reading requests from it, so body bytes that
 * nobody read are taken as the next head (`buffered` are those read so far). Otherwise the handler has ended the socket.
 */
export type TransferOutcome =
  { readonly connection: 'closed' } | { readonly connection: 'next-request'; readonly buffered: Buffer };

export interface TransferHost {
  readonly ref: string;
  readonly uuid: string;
  /** What `host.address` says and what a `Location` names: `127.1.2.3` or `127.1.2.3:8443`. */
  readonly address: string;
  /** What all its connections share. */
  readonly line: Line;
}

/** A session that may transfer disks. `end` logs out a session that was made for this request (Basic); else it does nothing. */
export interface TransferSession {
  readonly ref: string;
  end(): void;
}

export type Credentials =
  | { readonly kind: 'session'; readonly ref: string }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string };

/** `unauthorised`: 401, the task stays pending. `forbidden`: 403, and the task fails with RBAC_PERMISSION_DENIED. */
export type Authentication =
  | { readonly verdict: 'accepted'; readonly session: TransferSession }
  | { readonly verdict: 'unauthorised' }
  | { readonly verdict: 'forbidden'; readonly session: TransferSession; readonly failure: ApiFailure };

/** The task of one transfer. An end state is final: later calls are ignored, as the real server does. */
export interface TransferTask {
  readonly ref: string;
  /** 0 to 1. */
  setProgress(fraction: number): void;
  /** `result` is the XML fragment that stands in `task.result`, or `''`. */
  complete(result: string): void;
  fail(failure: ApiFailure): void;
  /** Looked at by XVA transfers only; disk transfers ignore `task.cancel`. */
  cancelRequested(): boolean;
  addToOtherConfig(key: string, value: string): void;
  /** The handler is done: a task that the server made itself (no `task_id` was given) is destroyed. */
  release(): void;
}

export interface TaskOptions {
  /** `task_id` of the request, if any: that task is used, and rejects HANDLE_INVALID if it does not exist. */
  readonly taskRef: string | null;
  readonly subtaskOf: string | null;
  /** Label of a task that has to be made. */
  readonly label: string;
  readonly session: TransferSession;
  readonly host: TransferHost;
}

/** A VDI as it stands at the moment of the question. */
export interface TransferVdi {
  readonly ref: string;
  readonly uuid: string;
  readonly name: string;
  readonly srRef: string;
  readonly sizeBytes: number;
  /** The VDI's `type`: `cbt_metadata` has no data to read. */
  readonly type: string;
  readonly readOnly: boolean;
  readonly store: ImageStore;
  /** Name of the image in `store` (the uuid on VHD storage). */
  readonly imageId: string;
  /** A VHD file stands behind it (`false` for raw LVM volumes): needed for `base=`. */
  readonly vhdBacked: boolean;
  /** The SR hands out zeroed disks, which VHD import requires (LVM: SR.sm_config `use_vhd=true` and no `type=raw`). */
  readonly prezeroed: boolean;
}

export interface TransferSr {
  readonly ref: string;
  readonly uuid: string;
}

/** A VDI plugged into the control domain of a host. `detach` unplugs and destroys the VBD; call it once, it never rejects. */
export interface Attachment {
  readonly vbdRef: string;
  detach(): Promise<void>;
}

/** What is done to one transfer. `linger` and the rest of the numbers: milliseconds and bytes of the HTTP body (or NBD data). */
export type TransferFault =
  | { readonly kind: 'error'; readonly code: string; readonly params?: readonly string[] }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'cut'; readonly afterBytes: number }
  | { readonly kind: 'stall'; readonly afterBytes: number }
  | { readonly kind: 'corrupt'; readonly atByte: number }
  | { readonly kind: 'lie' }
  | { readonly kind: 'late-failure' }
  | { readonly kind: 'error-page'; readonly afterBytes: number }
  | { readonly kind: 'hang' }
  /**
   * Import: when the client's connection ends early, the copier stays alive for `ms` and only then writes what it had buffered.
   * NBD: the disk stays attached for `ms` after the client has left.
   */
  | { readonly kind: 'linger'; readonly ms: number };

export interface FaultPoint {
  readonly transfer: 'export' | 'import' | 'nbd';
  /** Ref, uuid and name of the VDI (of the VM for XVA). */
  readonly object: readonly string[];
  readonly host: TransferHost;
}

export interface TransferClock {
  /** Milliseconds since 1970 by the pool's virtual clock. */
  now(): number;
  /** Waits; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** One object of an XVA. `recordXml` is the XML-RPC `<value>…</value>` of its record, refs still as `OpaqueRef:…`. */
export interface ExportedObject {
  readonly class: string;
  readonly ref: string;
  readonly recordXml: string;
}

/** A VM being exported: `end` takes the operation off the VM again. */
export interface VmExport {
  readonly vmRef: string;
  readonly vmUuid: string;
  /** Members of the `version` struct of ova.xml (hostname, date, product_version, …, export_vsn). */
  readonly version: Readonly<Record<string, string>>;
  readonly objects: readonly ExportedObject[];
  /** Disks in the order of their data; empty for metadata exports. */
  readonly disks: readonly TransferVdi[];
  end(): void;
}

export interface VmExportOptions {
  readonly vm: string;
  readonly metadataOnly: boolean;
  readonly query: readonly (readonly [string, string])[];
  readonly task: TransferTask;
  readonly session: TransferSession;
}

/** A VM being imported. `disks` maps the `Ref:N` of the archive to the new VDI that takes its data. */
export interface VmImport {
  readonly disks: ReadonlyMap<string, TransferVdi>;
  readonly vmRefs: readonly string[];
  commit(): Promise<void>;
  /** Removes every object made so far. */
  rollback(): Promise<void>;
}

export interface VmImportOptions {
  readonly ovaXml: string;
  readonly srRef: string | null;
  readonly restore: boolean;
  readonly force: boolean;
  readonly metadataOnly: boolean;
  readonly query: readonly (readonly [string, string])[];
  readonly task: TransferTask;
  readonly session: TransferSession;
}

export interface TransferPool {
  /** `minor` of the API version: 3 = 6.5, 5 = 7.0, 8 = 7.3, 12 = 8.0, 15 = 8.2, 20 and above = 8.3. */
  readonly apiMinor: number;
  readonly clock: TransferClock;
  /** Aborted when the simulator closes, or its faults are lifted: waits end then. */
  readonly closing: AbortSignal;
  /**
   * A plain raw upload whose connection ends before Content-Length ends in `success` on the real server, with stale bytes on
   * the disk. `fails`: the bytes are just as stale, but the task says so (the default of a simulated pool: nobody may rely on
   * what harms data). `succeeds`: as the real server.
   */
  readonly cutRawUpload: 'fails' | 'succeeds';
  authenticate(credentials: Credentials, host: TransferHost): Authentication;
  /** Gives the task of `taskRef`, or makes one. */
  openTask(options: TaskOptions): TransferTask;
  /** By ref or uuid; null when there is none. */
  findVdi(refOrUuid: string): TransferVdi | null;
  findSr(refOrUuid: string): TransferSr | null;
  defaultSr(): TransferSr | null;
  /** Hosts with a plugged PBD of the SR, enabled and live. */
  hostsThatSee(srRef: string): readonly TransferHost[];
  /** A new VDI named "Imported VDI" of type user. Rejects as VDI.create does. */
  createImportedVdi(srRef: string, sizeBytes: number): Promise<TransferVdi>;
  /**
   * Creates and plugs a VBD of the host's control domain, with all that shows: VDI.VBDs, sm_config `host_OpaqueRef:…`, loss of
   * `content_id` when RW. Rejects VDI_INCOMPATIBLE_TYPE, VDI_READONLY, SR_BACKEND_FAILURE_46 (attached elsewhere), or when all
   * 16 devices of the control domain are taken.
   */
  attach(vdi: TransferVdi, host: TransferHost, mode: 'RO' | 'RW'): Promise<Attachment>;
  /** The fault for a transfer that starts now, or null; uses up one count of its rule. */
  takeFault(point: FaultPoint): TransferFault | null;
  /** For the counters: bytes of the body that passed. */
  countBytes(transfer: 'export' | 'import', bytes: number): void;
  /** A fresh uuid v4 from the pool's seeded generator (footers of exports). */
  newUuid(): string;
  /** Checks and starts an export; rejects as the operation does (VM_BAD_POWER_STATE, OPERATION_BLOCKED, …). */
  beginVmExport(options: VmExportOptions): Promise<VmExport>;
  beginVmImport(options: VmImportOptions): Promise<VmImport>;
  /** `nbd`: TLS is forced; `insecure_nbd`: no TLS; null: no network (or networks of both kinds) has a purpose. */
  nbdPurpose(): 'nbd' | 'insecure_nbd' | null;
}
