import type { MessageInitShape } from '@bufbuild/protobuf';
import { isNested } from '../framework/schema';
import type { Attribute, Attributes, Nested, Schema } from '../framework/schema';
import { NestedObject_NestingMode, StringKind } from '../wire/generated/tfplugin6_pb';
import type { AttributeSchema, SchemaSchema } from '../wire/generated/tfplugin6_pb';

const nestingModes = {
  single: NestedObject_NestingMode.SINGLE,
  list: NestedObject_NestingMode.LIST,
  map: NestedObject_NestingMode.MAP,
} as const satisfies Record<Nested['nesting'], NestedObject_NestingMode>;

export function toSchemaMessage(schema: Schema): MessageInitShape<typeof SchemaSchema> {
  const version = BigInt(schema.version);
  return {
    version,
    block: {
      version,
      description: schema.description,
      descriptionKind: StringKind.MARKDOWN,
      attributes: toAttributeMessages(schema.attributes),
    },
  };
}

function toAttributeMessages(attributes: Attributes): MessageInitShape<typeof AttributeSchema>[] {
  return Object.entries(attributes).map(([name, attribute]) => toAttributeMessage(name, attribute));
}

/** A nested attribute leaves `type` empty, any other leaves `nestedType` out. */
function toAttributeMessage(name: string, attribute: Attribute): MessageInitShape<typeof AttributeSchema> {
  const { type, description } = attribute;
  return {
    name,
    description,
    descriptionKind: StringKind.MARKDOWN,
    required: attribute.required === true,
    optional: attribute.optional === true,
    computed: attribute.computed === true,
    sensitive: attribute.sensitive === true,
    writeOnly: attribute.writeOnly === true,
    deprecated: attribute.deprecated === true,
    ...(isNested(type)
      ? {
          nestedType: {
            nesting: nestingModes[type.nesting],
            attributes: toAttributeMessages(type.attributes),
          },
        }
      : { type: Buffer.from(JSON.stringify(type)) }),
  };
}
