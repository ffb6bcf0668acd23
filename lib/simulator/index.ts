/** XenServer pools in a box: real HTTP(S), real disks, no hypervisor. For tests, demonstrations and users' own CI. */
export { startSimulator } from './start';
export type { SimulatedHost, SimulatedPool, Simulator, SimulatorOptions } from './start';
export { connectSimulator, SimulatorClient } from './control/client';
export type { CallCounters, GuestWriter, Inventory, PoolControl } from './control/api';
export type { PoolDescription } from './control/http';
export type { FaultCounter, FaultEffect, FaultRule } from './pool/faults';
export { checkSpec } from './spec';
export type { DiskSpec, PoolSpec, SimulatorSpec, SrSpec, VmSpec } from './spec';
export type { Release } from './datamodel/releases';
