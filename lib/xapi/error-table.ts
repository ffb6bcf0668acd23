/**
 * Whether the same step may be tried again: `now` (nothing was done and nothing has to change first), `later` (after a
 * wait, with a fresh look at the pool), `never` (somebody has to change something, or another way must be taken).
 */
export type Retry = 'now' | 'later' | 'never';

export interface Advice {
  readonly retry: Retry;
  /** What the code means for a replication and what to do next; a sentence fragment without a full stop. */
  readonly hint: string;
}

/**
 * Advice by XAPI error code, spelled as XAPI spells them. Codes that are not listed are answered by `classify`.
 * A numbered SR_BACKEND_FAILURE comes from the storage driver and passes its own fault number on.
 */
export const ADVICE: Readonly<Record<string, Advice>> = {
  // Session and pool
  SESSION_INVALID: { retry: 'now', hint: 'the session has ended; the next call logs in again' },
  SESSION_AUTHENTICATION_FAILED: {
    retry: 'never',
    hint: 'user name or password is wrong: correct it in the pools file',
  },
  SESSION_AUTHORIZATION_FAILED: {
    retry: 'never',
    hint: 'the user is known but has no role in this pool: give it one (pool-operator on the target, vm-admin on the source)',
  },
  RBAC_PERMISSION_DENIED: {
    retry: 'never',
    hint: "the user's role lacks this permission: pool-operator is needed on the target, vm-admin on the source",
  },
  HOST_IS_SLAVE: { retry: 'now', hint: 'this host is a member of its pool: ask the coordinator it names' },
  HOST_OFFLINE: { retry: 'later', hint: 'the host is down: wait until it is back' },
  HOST_NOT_LIVE: { retry: 'later', hint: 'the host does not answer its pool: wait until it is back' },
  HOST_DISABLED: { retry: 'later', hint: 'the host is disabled (maintenance?): enable it' },
  HOST_STILL_BOOTING: { retry: 'later', hint: 'the host is still starting' },
  HOST_IN_EMERGENCY_MODE: {
    retry: 'later',
    hint: 'the host has lost its coordinator: repair the pool, or name another host',
  },
  HOST_UNKNOWN_TO_MASTER: {
    retry: 'never',
    hint: 'the pool does not know this host any more: name another one',
  },
  CANNOT_CONTACT_HOST: { retry: 'later', hint: 'the coordinator cannot reach that host' },
  NO_HOSTS_AVAILABLE: {
    retry: 'later',
    hint: 'no host of the pool can do this now: is the storage plugged on an enabled host?',
  },
  TLS_CONNECTION_FAILED: { retry: 'later', hint: 'two hosts of the pool could not talk to each other' },
  TOO_BUSY: { retry: 'later', hint: 'the pool is overloaded' },
  TOO_MANY_PENDING_TASKS: { retry: 'later', hint: 'the pool is overloaded' },
  HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN: {
    retry: 'never',
    hint: 'high availability of the pool would lose its guarantee',
  },

  // Objects
  HANDLE_INVALID: { retry: 'never', hint: 'the object is gone: look at the pool again' },
  UUID_INVALID: { retry: 'never', hint: 'there is no such object in this pool' },
  OTHER_OPERATION_IN_PROGRESS: { retry: 'later', hint: 'another operation holds the object' },
  OPERATION_BLOCKED: {
    retry: 'never',
    hint: 'the operation was blocked on purpose; the text says by whom',
  },
  OPERATION_NOT_ALLOWED: { retry: 'never', hint: 'the pool refuses this in the present state' },
  OPERATION_PARTIALLY_FAILED: {
    retry: 'later',
    hint: 'part of the operation was done: look at the pool again',
  },
  MAP_DUPLICATE_KEY: { retry: 'never', hint: 'the key exists already: somebody else wrote it first' },
  DB_UNIQUENESS_CONSTRAINT_VIOLATION: { retry: 'never', hint: 'such an object exists already' },
  PERMISSION_DENIED: { retry: 'never', hint: 'the user may not do this' },

  // Virtual machines
  VM_BAD_POWER_STATE: { retry: 'never', hint: 'the VM is not in the power state that is needed' },
  VM_IS_TEMPLATE: { retry: 'never', hint: 'this is a template, not a VM' },
  VM_IS_SNAPSHOT: { retry: 'never', hint: 'this is a snapshot, not a VM' },
  VM_IS_PROTECTED: { retry: 'never', hint: 'the VM is protected by high availability' },
  VM_SNAPSHOT_FAILED: {
    retry: 'later',
    hint: 'the snapshot could not be taken: look at the storage of its disks',
  },
  VM_HAS_TOO_MANY_SNAPSHOTS: { retry: 'never', hint: 'remove snapshots of this VM' },
  VM_REVERT_FAILED: { retry: 'never', hint: 'only a snapshot can be reverted to' },
  VM_DUPLICATE_VBD_DEVICE: { retry: 'never', hint: 'the device position is taken' },
  VM_REQUIRES_SR: { retry: 'later', hint: 'no enabled host sees all storage the VM needs' },
  VM_REQUIRES_NETWORK: { retry: 'never', hint: 'no host has all networks the VM needs' },
  VM_HVM_REQUIRED: { retry: 'never', hint: 'no host offers hardware virtualisation' },
  VM_HOST_INCOMPATIBLE_VERSION: { retry: 'never', hint: 'the VM was made by a newer release than the host' },
  VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION: {
    retry: 'never',
    hint: 'the VM asks for newer virtual hardware than the host has',
  },
  HOST_NOT_ENOUGH_FREE_MEMORY: { retry: 'later', hint: 'no host has the memory this VM asks for' },
  MEMORY_CONSTRAINT_VIOLATION: { retry: 'never', hint: 'the memory limits do not fit each other' },
  MEMORY_CONSTRAINT_VIOLATION_ORDER: { retry: 'never', hint: 'the memory limits are not in ascending order' },
  DUPLICATE_MAC_SEED: { retry: 'never', hint: 'a VM with this MAC seed is running already' },
  MAC_INVALID: { retry: 'never', hint: 'this is not a MAC address' },
  VTPM_MAX_AMOUNT_REACHED: { retry: 'never', hint: 'the VM has its vTPM already' },
  INVALID_DEVICE: { retry: 'never', hint: 'the device position does not exist on this release' },
  DEVICE_ALREADY_EXISTS: { retry: 'never', hint: 'the device position is taken' },
  DEVICE_ALREADY_ATTACHED: { retry: 'later', hint: 'the device is attached already' },
  DEVICE_ALREADY_DETACHED: { retry: 'never', hint: 'the device was detached already' },
  DEVICE_NOT_ATTACHED: { retry: 'never', hint: 'the device is not attached' },
  DEVICE_ATTACH_TIMEOUT: { retry: 'later', hint: 'the host did not attach the device in time' },
  DEVICE_DETACH_TIMEOUT: { retry: 'later', hint: 'the host did not detach the device in time' },
  DEVICE_DETACH_REJECTED: { retry: 'later', hint: 'the device is still in use on the host' },

  // Disks
  VDI_IN_USE: {
    retry: 'later',
    hint: 'the disk is in use: a transfer of it still runs, or somebody attached it',
  },
  VDI_IO_ERROR: {
    retry: 'later',
    hint: 'the transfer failed and what it was writing is undefined from the last confirmed segment on',
  },
  VDI_NOT_AVAILABLE: { retry: 'later', hint: 'the disk is attached elsewhere' },
  VDI_MISSING: { retry: 'never', hint: 'the storage has lost this disk' },
  VDI_LOCATION_MISSING: { retry: 'never', hint: 'the storage has lost this disk' },
  VDI_NOT_MANAGED: { retry: 'never', hint: 'this is an internal node of a chain, not a disk' },
  VDI_READONLY: { retry: 'never', hint: 'the disk is read-only' },
  VDI_TOO_LARGE: { retry: 'never', hint: 'the disk is larger than the format or the storage can hold' },
  VDI_TOO_SMALL: { retry: 'never', hint: 'the disk is smaller than its content' },
  VDI_COPY_FAILED: { retry: 'later', hint: 'the copy failed: look at the space left on the storage' },
  VDI_INCOMPATIBLE_TYPE: {
    retry: 'never',
    hint: 'the disk holds changed-block data only, or is of a type that cannot be used here',
  },
  VDI_NO_CBT_METADATA: {
    retry: 'never',
    hint: 'there is no changed-block data for this disk: read a delta by its VHD chain instead',
  },
  VDI_CBT_ENABLED: { retry: 'never', hint: 'changed-block tracking must be switched off for this' },
  VDI_IS_ENCRYPTED: { retry: 'never', hint: 'an encrypted disk cannot be read block by block' },
  VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION: {
    retry: 'never',
    hint: 'the disk is reset at every start of its VM, which rules this out',
  },

  // Storage
  SR_FULL: { retry: 'never', hint: 'the storage is full: free space, or choose another one' },
  SR_SOURCE_SPACE_INSUFFICIENT: {
    retry: 'never',
    hint: 'the storage has no room for a snapshot: free space',
  },
  OUT_OF_SPACE: { retry: 'never', hint: 'the host has no space left: free some' },
  SR_BACKEND_FAILURE: { retry: 'later', hint: 'the storage driver failed; its text says why' },
  SR_BACKEND_FAILURE_24: { retry: 'later', hint: 'the disk is in use' },
  SR_BACKEND_FAILURE_40: { retry: 'later', hint: 'the storage cannot be reached or scanned' },
  SR_BACKEND_FAILURE_44: {
    retry: 'never',
    hint: 'the storage has no space left: free some, or choose another one',
  },
  SR_BACKEND_FAILURE_46: { retry: 'later', hint: 'the disk is attached on another host' },
  SR_BACKEND_FAILURE_47: { retry: 'later', hint: 'the storage is not available on that host' },
  SR_BACKEND_FAILURE_79: { retry: 'never', hint: 'the size is not one the storage can make' },
  SR_BACKEND_FAILURE_82: { retry: 'later', hint: 'the storage could not take the snapshot' },
  SR_BACKEND_FAILURE_109: {
    retry: 'later',
    hint: 'the chain of snapshots is too long: wait until the storage has coalesced it',
  },
  SR_BACKEND_FAILURE_459: {
    retry: 'never',
    hint: 'changed blocks cannot be told for this pair of disks: read a delta by its VHD chain instead',
  },
  SR_BACKEND_FAILURE_460: {
    retry: 'never',
    hint: 'changed blocks cannot be told for this pair of disks: read a delta by its VHD chain instead',
  },
  SR_HAS_NO_PBDS: { retry: 'later', hint: 'the storage is connected to no host: plug it' },
  SR_NOT_ATTACHED: { retry: 'later', hint: 'the storage is unplugged: plug it' },
  SR_ATTACH_FAILED: { retry: 'later', hint: 'the storage could not be attached' },
  SR_UNHEALTHY: { retry: 'later', hint: 'the storage reports that it is ill' },
  SR_VDI_LOCKING_FAILED: { retry: 'later', hint: 'the storage could not lock the disk' },
  SR_OPERATION_NOT_SUPPORTED: { retry: 'never', hint: 'this kind of storage cannot do that' },
  UNIMPLEMENTED_IN_SM_BACKEND: { retry: 'never', hint: 'this kind of storage cannot do that' },
  HOST_CANNOT_SEE_SR: { retry: 'later', hint: 'the storage is not plugged on that host' },

  // The call itself
  TASK_CANCELLED: { retry: 'later', hint: 'somebody cancelled the task' },
  MESSAGE_METHOD_UNKNOWN: { retry: 'never', hint: 'this release is too old for that call' },
  MESSAGE_PARAMETER_COUNT_MISMATCH: {
    retry: 'never',
    hint: 'this release knows fewer parameters of that call',
  },
  MESSAGE_REMOVED: { retry: 'never', hint: 'this release no longer has that call' },
  MESSAGE_DEPRECATED: { retry: 'never', hint: 'this release no longer has that call' },
  NOT_IMPLEMENTED: { retry: 'never', hint: 'this release does not have that' },
  INVALID_VALUE: { retry: 'never', hint: 'the pool does not take this value' },
  VALUE_NOT_SUPPORTED: { retry: 'never', hint: 'the pool does not take this value' },
  FIELD_TYPE_ERROR: { retry: 'never', hint: 'the pool does not take this value' },
  LICENCE_RESTRICTION: { retry: 'never', hint: 'the licence of the pool does not cover this feature' },
  FEATURE_RESTRICTED: { retry: 'never', hint: 'the licence of the pool does not cover this feature' },
  LICENSE_EXPIRED: { retry: 'never', hint: 'the licence of the host has run out' },
  INTERNAL_ERROR: {
    retry: 'later',
    hint: 'the pool failed inside; if it fails again, look at /var/log/xensource.log of the coordinator',
  },
};
