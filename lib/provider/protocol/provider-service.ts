import type { ServiceImpl } from '@connectrpc/connect';
import type { ProviderServer } from '../framework/provider-server';
import type { Schema } from '../framework/schema';
import type { Provider as ProviderDefinition } from '../wire/generated/tfplugin6_pb';
import { answer, decodeObject, typeOfSchema } from './answer';
import { encodeValue } from './dynamic-value';
import { resourceCalls } from './resource-calls';
import { toSchemaMessage } from './schema-message';

/** `get_provider_schema_optional`: Terraform may ask for the schema once per command instead of once per process. */
const serverCapabilities = { planDestroy: true, getProviderSchemaOptional: true, moveResourceState: false };

/** Each call of the protocol: decode, ask the server, encode. */
export function providerService<Configured>(
  server: ProviderServer<Configured>,
): ServiceImpl<typeof ProviderDefinition> {
  const { provider } = server;
  const resource = (typeName: string) => typeOfSchema(provider.resources[typeName]?.schema);
  const dataSource = (typeName: string) => typeOfSchema(provider.dataSources[typeName]?.schema);

  return {
    ...resourceCalls(server),

    getMetadata: () => ({
      serverCapabilities,
      resources: Object.keys(provider.resources).map((typeName) => ({ typeName })),
      dataSources: Object.keys(provider.dataSources).map((typeName) => ({ typeName })),
    }),

    getProviderSchema: () => ({
      serverCapabilities,
      provider: toSchemaMessage(provider.schema),
      resourceSchemas: schemaMessages(provider.resources),
      dataSourceSchemas: schemaMessages(provider.dataSources),
    }),

    validateProviderConfig: ({ config }) =>
      answer(async () => server.validateProvider(decodeObject(config, typeOfSchema(provider.schema)))),

    validateResourceConfig: ({ typeName, config }) =>
      answer(async () => server.validateResource(typeName, decodeObject(config, resource(typeName)))),

    validateDataResourceConfig: ({ typeName, config }) =>
      answer(async () => server.validateDataSource(typeName, decodeObject(config, dataSource(typeName)))),

    configureProvider: ({ config }) =>
      answer(async () => server.configure(decodeObject(config, typeOfSchema(provider.schema)))),

    readDataSource: ({ typeName, config }) =>
      answer(async () => {
        const type = dataSource(typeName);
        const { state, diagnostics } = await server.readDataSource(typeName, decodeObject(config, type));
        return { diagnostics, state: encodeValue(state, type) };
      }),

    stopProvider: () => {
      server.stop();
      return {};
    },
  };
}

function schemaMessages(kinds: Readonly<Record<string, { readonly schema: Schema }>>) {
  return Object.fromEntries(
    Object.entries(kinds).map(([typeName, { schema }]) => [typeName, toSchemaMessage(schema)]),
  );
}
