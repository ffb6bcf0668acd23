import { randomInt } from 'node:crypto';
import type { DataSource, Provider, Resource, Schema, ValueObject } from '../framework';

/**
 * A stand-in for the provider hashicorp/null 3.2.4, for sites that cannot fetch the real one: its resource does nothing
 * but carry provisioners and be replaced when its triggers change.
 */
export const nullProvider: Provider<null> = {
  name: 'null',
  schema: { version: 0, description: 'Resources that do nothing.', attributes: {} },
  resources: { null_resource: nullResource() },
  dataSources: { null_data_source: nullDataSource() },
  configure: () => Promise.resolve(null),
};

function nullResource(): Resource<null> {
  const schema: Schema = {
    version: 0,
    description: 'Follows the life cycle of a resource and does nothing else.',
    attributes: {
      id: { type: 'string', computed: true, description: 'A random number, fixed at creation.' },
      triggers: {
        type: ['map', 'string'],
        optional: true,
        requiresReplace: true,
        description: 'Values that, when changed, have the resource and its provisioners run again.',
      },
    },
  };
  return {
    schema,
    noun: 'Null Resource',
    create: (planned) => Promise.resolve({ ...planned, id: randomId() }),
    read: (state) => Promise.resolve(state),
    update: (_prior, planned) => Promise.resolve(planned),
    delete: () => Promise.resolve(),
  };
}

function nullDataSource(): DataSource<null> {
  const text = { type: 'string', description: '' } as const;
  const map = { type: ['map', 'string'], description: '' } as const;
  return {
    noun: 'Null Data Source',
    schema: {
      version: 0,
      description: 'Copies its inputs to its outputs.',
      attributes: {
        inputs: { ...map, optional: true, description: 'Values to copy.' },
        outputs: { ...map, computed: true, description: 'The values of `inputs`.' },
        random: { ...text, computed: true, description: 'A random number, new at every read.' },
        has_computed_default: {
          ...text,
          optional: true,
          computed: true,
          description: '`default` where not given.',
        },
        id: { ...text, computed: true, description: 'Always `static`.' },
      },
    },
    read: (config: ValueObject) =>
      Promise.resolve({
        ...config,
        outputs: config['inputs'] ?? null,
        random: randomId(),
        has_computed_default: config['has_computed_default'] ?? 'default',
        id: 'static',
      }),
  };
}

/** A positive whole number below 2^48, as text: the real provider draws 63 bits, users only compare it. */
function randomId(): string {
  return String(randomInt(1, 2 ** 48 - 1));
}
