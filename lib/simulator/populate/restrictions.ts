import type { Pool } from '../pool/pool';

/** Features that a licence could take away; the simulated one leaves them on. */
const features = [
  'ad',
  'cbt',
  'certificate_verification',
  'checkpoint',
  'connection',
  'corosync',
  'cpu_masking',
  'dmc',
  'dr',
  'email_alerting',
  'equalogic',
  'gpu',
  'guest_agent_auto_update',
  'guest_ip_setting',
  'historical_performance',
  'igmp_snooping',
  'integrated_gpu_passthrough',
  'intellicache',
  'internal_repo_access',
  'live_patching',
  'marathon',
  'nested_virt',
  'netapp',
  'network_sriov',
  'pci_device_for_auto_update',
  'pool_attached_storage',
  'pool_secret_rotation',
  'pool_size',
  'pooling',
  'pvs_proxy',
  'qos',
  'rbac',
  'rpu',
  'set_vcpus_number_live',
  'storage_xen_motion',
  'updates',
  'usb_passthrough',
  'vgpu',
  'vif_locking',
  'vlan',
  'vm_groups',
  'vmpr',
  'vmss',
  'vss',
  'vtpm',
  'wlb',
  'xen_motion',
  'zstd_export',
];

/**
 * `pool.restrictions`: strings, of which "false" means that the feature may be used.
 *
 * @param restrictCbt a licence without changed-block tracking
 */
export function restrictionsOf(pool: Pool, restrictCbt: boolean): Record<string, string> {
  const cbt = pool.facts.apiMinor >= 8;
  const names = features.filter((feature) => cbt || feature !== 'cbt');
  return {
    ...Object.fromEntries(
      names.map((feature) => [`restrict_${feature}`, String(feature === 'cbt' && restrictCbt)]),
    ),
    enable_xha: 'true',
    platform_filter: 'true',
    regular_nag_dialog: 'true',
  };
}
