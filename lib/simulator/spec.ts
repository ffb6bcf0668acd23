import { z } from 'zod';

/*
 * What to simulate, as data. The same shape is read from YAML by the command line, so it is checked strictly: a
 * misspelt key is an error and not a pool that silently lacks something.
 */

const name = z.string().min(1);
const bytes = z.int().positive();

const disk = z.strictObject({
  /** Default: name of the VM and the device. */
  name: name.optional(),
  /** Position: 0 is the first disk. */
  device: z.int().min(0).max(15),
  sizeBytes: bytes,
  /** Name of the SR. */
  sr: name,
  /** A raw file that is copied in; its holes and zeros take no space. */
  contentFile: z.string().optional(),
});

const vm = z.strictObject({
  name,
  description: z.string().optional(),
  memoryBytes: bytes.optional(),
  vcpus: z.int().positive().optional(),
  tags: z.array(z.string()).optional(),
  running: z.boolean().optional(),
  firmware: z.enum(['bios', 'uefi']).optional(),
  otherConfig: z.record(z.string(), z.string()).optional(),
  disks: z.array(disk),
  vifs: z.array(z.strictObject({ network: name, mac: z.string().optional() })).optional(),
});

const sr = z.strictObject({
  name,
  type: z.enum(['ext', 'nfs', 'lvm', 'lvmoiscsi']),
  sizeBytes: bytes,
  /** Names of the hosts it is plugged on. Default: all. */
  hosts: z.array(name).optional(),
  /** The pool's default SR. Default: the first one. */
  default: z.boolean().optional(),
});

const user = z.strictObject({
  name,
  password: z.string(),
  role: z.enum(['read-only', 'vm-operator', 'vm-admin', 'vm-power-admin', 'pool-operator', 'pool-admin']),
});

const pool = z.strictObject({
  name,
  release: z.enum(['6.5', '7.0', '7.3', '8.2', '8.3', 'xcp-8.3']).optional(),
  /** Default `root`. */
  username: name.optional(),
  /** Default `secret`. */
  password: z.string().optional(),
  /** Further users, with roles. */
  users: z.array(user).optional(),
  hosts: z
    .array(
      z.strictObject({
        name,
        /** Load average of its control domain, which has 8 vCPUs; null: it keeps no such figure. Default 0.25. */
        controlDomainLoad: z.number().min(0).nullable().optional(),
        /** Speed of its line in each direction, shared by all its connections. Default: as fast as the simulator can. */
        lineBytesPerSecond: bytes.optional(),
      }),
    )
    .min(1),
  srs: z.array(sr),
  networks: z.array(
    z.strictObject({
      name,
      /** The hosts serve disks over NBD on it: `nbd` with TLS only, `insecure_nbd` without. Since 7.3. */
      purpose: z.enum(['nbd', 'insecure_nbd']).optional(),
    }),
  ),
  vms: z.array(vm),
  /** True: the licence rules changed-block tracking out. Default false. */
  restrictCbt: z.boolean().optional(),
  /** Types of SRs whose driver cannot track changed blocks. Default: all can, since 7.3. */
  untrackedSrTypes: z.array(name).optional(),
  /** How late a wrong password is answered. Default 5000, as the real server does. */
  wrongPasswordDelayMs: z.int().min(0).optional(),
  /** A plain raw upload whose connection ends early: `succeeds` with stale bytes as on a real server. Default `fails`. */
  cutRawUpload: z.enum(['fails', 'succeeds']).optional(),
  /** Files are merged so long after disks were destroyed; null: only when told to. Default 1000. */
  coalesceDelayMs: z.int().min(0).nullable().optional(),
});

export const simulatorSpec = z.strictObject({
  /** The same seed gives the same uuids and refs. Default 1. */
  seed: z.int().optional(),
  pools: z.array(pool).min(1),
});

export type SimulatorSpec = z.input<typeof simulatorSpec>;
export type PoolSpec = z.input<typeof pool>;
export type VmSpec = z.input<typeof vm>;
export type SrSpec = z.input<typeof sr>;
export type DiskSpec = z.input<typeof disk>;

/** Checks a spec. @throws Error that names each wrong place and what was expected there. */
export function checkSpec(spec: unknown): SimulatorSpec {
  const result = simulatorSpec.safeParse(spec);
  if (!result.success) throw new Error(`the simulator spec is not valid:\n${z.prettifyError(result.error)}`);
  const names = result.data.pools.map((candidate) => candidate.name);
  const twice = names.find((candidate, index) => names.indexOf(candidate) !== index);
  if (twice !== undefined)
    throw new Error(`two pools of the simulator spec are named "${twice}"; names must differ`);
  return result.data;
}
