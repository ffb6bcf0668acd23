import type { ExportedObject } from './pool-side';

const VERSION_MEMBERS = [
  'hostname',
  'date',
  'product_version',
  'product_brand',
  'build_number',
  'xapi_major',
  'xapi_minor',
  'export_vsn',
];
/** VM fields whose refs get an id in the archive even when nothing is exported behind them, null refs too. */
const ALWAYS_NUMBERED = ['affinity', 'resident_on', 'guest_metrics'];

/** Names `Ref:N` of the objects in one archive: the VM, then each VIF with its network, each VBD with its disk and SR. */
export function archiveIds(objects: readonly ExportedObject[]): ReadonlyMap<string, string> {
  const ids = new Map<string, string>();
  const known = new Map(objects.map((object) => [object.ref, object]));
  const add = (ref: string | null): ExportedObject | undefined => {
    const object = ref === null ? undefined : known.get(ref);
    if (object !== undefined && !ids.has(object.ref)) ids.set(object.ref, `Ref:${ids.size}`);
    return object;
  };
  const all = (name: string): ExportedObject[] => objects.filter((object) => object.class === name);
  for (const vm of all('VM')) add(vm.ref);
  for (const vif of all('VIF')) {
    add(vif.ref);
    add(refIn(vif.recordXml, 'network'));
  }
  for (const vbd of all('VBD')) {
    add(vbd.ref);
    const vdi = add(refIn(vbd.recordXml, 'VDI'));
    if (vdi !== undefined) add(refIn(vdi.recordXml, 'SR'));
  }
  for (const object of objects) add(object.ref);
  return ids;
}

/** The document at the head of an archive: version and objects as one XML-RPC value. */
export function ovaXml(
  version: Readonly<Record<string, string>>,
  objects: readonly ExportedObject[],
): string {
  const ids = new Map(archiveIds(objects));
  for (const vm of objects.filter((object) => object.class === 'VM')) {
    for (const field of ALWAYS_NUMBERED) {
      const ref = refIn(vm.recordXml, field);
      if (ref !== null && !ids.has(ref)) ids.set(ref, `Ref:${ids.size}`);
    }
  }
  const values = objects.map((object) =>
    struct([
      ['class', value(object.class)],
      ['id', value(ids.get(object.ref) ?? '')],
      ['snapshot', numbered(object, ids)],
    ]),
  );
  return struct([
    ['version', struct(VERSION_MEMBERS.map((name) => [name, value(escaped(version[name] ?? ''))]))],
    ['objects', `<value><array><data>${values.join('')}</data></array></value>`],
  ]);
}

function numbered(object: ExportedObject, ids: ReadonlyMap<string, string>): string {
  const everywhere = object.recordXml.replace(/OpaqueRef:[0-9a-f-]{36}/g, (ref) => ids.get(ref) ?? ref);
  if (object.class !== 'VM') return everywhere;
  return ALWAYS_NUMBERED.reduce(
    (xml, field) =>
      xml.replace(new RegExp(`(<name>${field}</name><value>)([^<]*)(</value>)`), (_all, open, ref, close) =>
        [open, ids.get(ref as string) ?? ref, close].join(''),
      ),
    everywhere,
  );
}

function refIn(recordXml: string, field: string): string | null {
  return new RegExp(`<name>${field}</name><value>(OpaqueRef:[^<]*)</value>`).exec(recordXml)?.[1] ?? null;
}

function struct(members: readonly (readonly [string, string])[]): string {
  const inside = members.map(([name, xml]) => `<member><name>${name}</name>${xml}</member>`).join('');
  return `<value><struct>${inside}</struct></value>`;
}

function value(xml: string): string {
  return `<value>${xml}</value>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
