import type { ServiceImpl } from '@connectrpc/connect';
import type { ProviderServer } from '../framework/provider-server';
import type { Provider as ProviderDefinition } from '../wire/generated/tfplugin6_pb';
import { answer, decodeNullable, decodeObject, typeOfSchema } from './answer';
import { toPathMessage } from './diagnostic-message';
import { encodeValue } from './dynamic-value';

type ResourceCalls = Pick<
  ServiceImpl<typeof ProviderDefinition>,
  | 'upgradeResourceState'
  | 'readResource'
  | 'planResourceChange'
  | 'applyResourceChange'
  | 'importResourceState'
>;

/** The calls about one managed object. Private bytes go back as they came: nothing is kept in them. */
export function resourceCalls<Configured>(server: ProviderServer<Configured>): ResourceCalls {
  const resource = (typeName: string) => typeOfSchema(server.provider.resources[typeName]?.schema);

  return {
    upgradeResourceState: ({ typeName, version, rawState }) =>
      answer(async () => {
        const stored: unknown = JSON.parse(Buffer.from(rawState?.json ?? []).toString('utf8'));
        const result = await server.upgrade(typeName, Number(version), stored as Record<string, unknown>);
        return { ...result, upgradedState: encodeValue(result.state, resource(typeName)) };
      }),

    readResource: (request) =>
      answer(async () => {
        const type = resource(request.typeName);
        const result = await server.read(request.typeName, decodeObject(request.currentState, type));
        return { ...result, newState: encodeValue(result.state, type), private: request.private };
      }),

    planResourceChange: (request) =>
      answer(async () => {
        const type = resource(request.typeName);
        const destroys = decodeNullable(request.proposedNewState, type) === null;
        const result = await server.plan(request.typeName, {
          prior: decodeNullable(request.priorState, type),
          config: destroys ? null : decodeNullable(request.config, type),
        });
        return {
          diagnostics: result.diagnostics,
          plannedState: encodeValue(result.planned, type),
          requiresReplace: result.requiresReplace.map(toPathMessage),
          plannedPrivate: request.priorPrivate,
        };
      }),

    applyResourceChange: (request) =>
      answer(async () => {
        const type = resource(request.typeName);
        const result = await server.apply(request.typeName, {
          prior: decodeNullable(request.priorState, type),
          planned: decodeNullable(request.plannedState, type),
          config: decodeNullable(request.config, type),
        });
        return {
          diagnostics: result.diagnostics,
          newState: encodeValue(result.state, type),
          private: request.plannedPrivate,
        };
      }),

    importResourceState: ({ typeName, id }) =>
      answer(async () => {
        const { state, diagnostics } = await server.import(typeName, id);
        const importedResources =
          state === null ? [] : [{ typeName, state: encodeValue(state, resource(typeName)) }];
        return { diagnostics, importedResources };
      }),
  };
}
