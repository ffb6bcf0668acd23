import { formatDate } from '../clock';
import type { ReleaseFacts } from '../datamodel/releases';
import type { HostCertificate } from '../http/certificate';
import { Line } from '../line';
import type { Host } from '../pool/host';
import type { Pool } from '../pool/pool';
import type { PoolSpec } from '../spec';
import { restrictionsOf } from './restrictions';

/** Memory of each simulated host. */
const hostMemoryBytes = 256 * 1024 ** 3;
const controlDomainBytes = 4 * 1024 ** 3;

/** Where a host listens, found before its objects are made. */
export interface HostPlace {
  readonly name: string;
  readonly ip: string;
  readonly port: number;
  readonly address: string;
  /** With the port unless that is 443. */
  readonly location: string;
  readonly certificate: HostCertificate;
}

/** The pool object, its hosts with control domains, networks, PIFs and storage managers. */
export function createInfrastructure(pool: Pool, spec: PoolSpec, places: readonly HostPlace[]): void {
  const { db } = pool;
  const poolRef = db.create('pool', {
    name_label: spec.name,
    restrictions: restrictionsOf(pool, spec.restrictCbt === true),
    ha_cluster_stack: 'xhad',
    allowed_operations: poolOperations,
    last_update_sync: '19700101T00:00:00Z',
    telemetry_next_collection: formatDate(pool.clock.now()),
    telemetry_uuid: pool.random.ref(),
    local_auth_max_threads: 8,
    ext_auth_max_threads: 1,
  });
  for (const place of places) pool.hosts.push(createHost(pool, spec, place));
  db.set('pool', poolRef, 'master', pool.hosts[0]?.ref ?? 'OpaqueRef:NULL');
  createNetworks(pool, spec, places);
  for (const type of new Set(spec.srs.map((sr) => sr.type))) {
    createStorageManager(pool, type, spec.untrackedSrTypes?.includes(type) !== true);
  }
}

const poolOperations = [
  'apply_updates',
  'cert_refresh',
  'cluster_create',
  'configure_repositories',
  'copy_primary_host_certs',
  'designate_new_master',
  'eject',
  'exchange_ca_certificates_on_join',
  'exchange_certificates_on_join',
  'get_updates',
  'ha_enable',
  'sync_updates',
  'tls_verification_enable',
];

function createHost(pool: Pool, spec: PoolSpec, place: HostPlace): Host {
  const { db } = pool;
  const metrics = db.create('host_metrics', {
    memory_total: hostMemoryBytes,
    memory_free: hostMemoryBytes - controlDomainBytes,
    live: true,
    last_updated: formatDate(pool.clock.now()),
  });
  const ref = db.create('host', {
    name_label: place.name,
    name_description: 'Simulated host',
    hostname: place.name,
    address: place.address,
    metrics,
    enabled: true,
    API_version_major: 2,
    API_version_minor: pool.facts.apiMinor,
    API_version_vendor: 'XenSource',
    software_version: softwareVersion(pool.facts, place.name),
    allowed_operations: ['enable', 'evacuate', 'provision', 'vm_migrate', 'vm_resume', 'vm_start'],
    capabilities: ['xen-3.0-x86_64', 'hvm-3.0-x86_64'],
    cpu_info: { cpu_count: '16', socket_count: '2', vendor: 'SimulatedVendor', modelname: 'Simulated CPU' },
    edition: pool.facts.productBrand === 'XCP-ng' ? 'xcp-ng' : 'enterprise-per-socket',
    editions: ['xenserver'],
    display: 'enabled',
    https_only: true,
    license_params: { sku_type: 'simulated', ...restrictionsOf(pool, spec.restrictCbt === true) },
    logging: {},
    memory_overhead: 512 * 1024 ** 2,
    sched_policy: 'credit',
    virtual_hardware_platform_versions: [0, 1, 2],
    ssl_legacy: false,
    tls_verification_enabled: true,
    last_software_update: '19700101T00:00:00Z',
  });
  const controlDomain = createControlDomain(pool, ref, place.name);
  db.set('host', ref, 'control_domain', controlDomain);
  const uuid = db.text('host', ref, 'uuid');
  createCertificate(pool, ref, place.certificate);
  return {
    ref,
    uuid,
    name: place.name,
    controlDomain,
    address: place.address,
    location: place.location,
    certificatePem: place.certificate.certificatePem,
    line: new Line(),
  };
}

function softwareVersion(facts: ReleaseFacts, hostname: string): Record<string, string> {
  return {
    product_version: facts.productVersion,
    product_brand: facts.productBrand,
    platform_name: 'XCP',
    platform_version: facts.platformVersion,
    xapi: `2.${facts.apiMinor}`,
    xapi_build: facts.xapiBuild,
    build_number: 'simulated',
    git_id: 'simulated',
    hostname,
    date: '20240701T00:00:00Z',
    xen: '4.17.4',
    linux: '4.19.0+1',
    db_schema: '5.780',
    network_backend: 'openvswitch',
    xencenter_min: '2.21',
    xencenter_max: '2.21',
  };
}

function createControlDomain(pool: Pool, host: string, name: string): string {
  const { db } = pool;
  return db.create('VM', {
    name_label: `Control domain on host: ${name}`,
    name_description: 'The domain which manages physical devices and manages other domains',
    is_control_domain: true,
    power_state: 'Running',
    resident_on: host,
    affinity: host,
    domid: 0,
    domain_type: 'pv',
    domarch: 'x64',
    hardware_platform_version: 0,
    has_vendor_device: false,
    VCPUs_max: 8,
    VCPUs_at_startup: 8,
    memory_static_max: controlDomainBytes,
    memory_static_min: controlDomainBytes,
    memory_dynamic_max: controlDomainBytes,
    memory_dynamic_min: controlDomainBytes,
    memory_target: controlDomainBytes,
    actions_after_shutdown: 'destroy',
    actions_after_reboot: 'destroy',
    actions_after_crash: 'destroy',
    user_version: 1,
    generation_id: '',
    metrics: db.create('VM_metrics', { VCPUs_number: 8, memory_actual: controlDomainBytes }),
    allowed_operations: ['changing_dynamic_range', 'changing_static_range', 'metadata_export'],
  });
}

function createCertificate(pool: Pool, host: string, certificate: HostCertificate): void {
  if (!pool.db.hasClass('Certificate')) return;
  pool.db.create('Certificate', {
    type: 'host',
    host,
    not_before: formatDate(pool.clock.now() - 24 * 60 * 60 * 1000),
    not_after: formatDate(pool.clock.now() + 10 * 365 * 24 * 60 * 60 * 1000),
    fingerprint: certificate.fingerprint,
    fingerprint_sha256: certificate.fingerprint,
  });
}

/** The first network carries the management interfaces of all hosts. */
function createNetworks(pool: Pool, spec: PoolSpec, places: readonly HostPlace[]): void {
  const { db } = pool;
  const networks =
    spec.networks.length === 0 ? [{ name: 'Pool-wide network associated with eth0' }] : spec.networks;
  networks.forEach(({ name, purpose }, index) => {
    const network = db.create('network', {
      name_label: name,
      bridge: `xenbr${index}`,
      MTU: 1500,
      managed: true,
      ...(purpose === undefined || pool.facts.apiMinor < 8 ? {} : { purpose: [purpose] }),
    });
    pool.hosts.forEach((host, hostIndex) => {
      const metrics = db.create('PIF_metrics', { carrier: true });
      db.create('PIF', {
        device: `eth${index}`,
        network,
        host: host.ref,
        MAC: macOf(hostIndex, index),
        MTU: 1500,
        metrics,
        physical: true,
        management: index === 0,
        currently_attached: true,
        managed: true,
        ip_configuration_mode: index === 0 ? 'Static' : 'None',
        IP: index === 0 ? (places[hostIndex]?.ip ?? '') : '',
        primary_address_type: 'IPv4',
      });
    });
  });
}

function macOf(host: number, network: number): string {
  const hex = (value: number): string => value.toString(16).padStart(2, '0');
  return `02:00:00:${hex(host)}:00:${hex(network)}`;
}

function createStorageManager(pool: Pool, type: string, tracksChanges: boolean): void {
  const features = [
    'SR_PROBE',
    'SR_UPDATE',
    'VDI_CREATE',
    'VDI_DELETE',
    'VDI_ATTACH',
    'VDI_DETACH',
    'VDI_CLONE',
    'VDI_SNAPSHOT',
    'VDI_RESIZE',
    'VDI_GENERATE_CONFIG',
    'VDI_MIRROR',
    'VDI_ACTIVATE',
    'VDI_DEACTIVATE',
    'VDI_UPDATE',
    ...(pool.facts.apiMinor >= 8 && tracksChanges ? ['VDI_CONFIG_CBT'] : []),
  ];
  const versions = Object.fromEntries(features.map((feature) => [feature, 1]));
  pool.db.create('SM', {
    type,
    name_label: type,
    name_description: `Simulated storage manager for ${type}`,
    vendor: 'simulated',
    copyright: '',
    version: '1.0',
    required_api_version: '1.0',
    configuration: {},
    capabilities: features,
    features: versions,
    driver_filename: `/opt/xensource/sm/${type}SR`,
  });
}
