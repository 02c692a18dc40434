/** Valid values of the schemas that OpenAI publishes: every kind of value that each field may have. */
import published from '../contract/openai-schemas.json' with { type: 'json' };

type Schema = Record<string, unknown>;

const schemas = published.components.schemas as unknown as Record<string, Schema>;

/** Returns the properties of a schema by name, those of the parts of `allOf` included. */
export function propertiesOf(name: string): Record<string, Schema> {
  return fieldsOf({ $ref: `#/components/schemas/${name}` });
}

/** Returns one value of each kind that satisfies the schema: each branch, each enumerated value, each optional field. */
export function samplesOf(schema: Schema, depth = 0): unknown[] {
  const { $ref: reference, enum: values, anyOf, oneOf, allOf, type, items } = schema;
  if (depth > 12) return [];
  if (typeof reference === 'string') return samplesOf(resolved(reference), depth + 1);
  if (Array.isArray(values)) return values;
  if ('const' in schema) return [schema['const']];
  const branches = (anyOf ?? oneOf) as Schema[] | undefined;
  if (branches) return branches.flatMap((branch) => samplesOf(branch, depth + 1));
  switch (allOf || schema['properties'] ? 'object' : type) {
    case 'object':
      return objectsOf(schema, depth);
    case 'array':
      return samplesOf((items ?? {}) as Schema, depth + 1).map((item) => [item]);
    case 'string':
      return ['text'];
    case 'integer':
    case 'number':
      return [schema['minimum'] ?? -1, schema['maximum'] ?? 7].map(Number);
    case 'boolean':
      return [true, false];
    case 'null':
      return [null];
    default:
      return [{}];
  }
}

/** One object with only the required fields, and one for each sample of each optional field. */
function objectsOf(schema: Schema, depth: number): unknown[] {
  const fields = fieldsOf(schema);
  const required = requiredOf(schema);
  const least = Object.fromEntries(required.map((name) => [name, samplesOf(fields[name] ?? {}, depth + 1)[0]]));
  const more = Object.entries(fields).flatMap(([name, field]) =>
    samplesOf(field, depth + 1).map((value) => ({ ...least, [name]: value })),
  );
  return [least, ...more];
}

function fieldsOf(schema: Schema): Record<string, Schema> {
  const { $ref: reference, allOf = [], properties = {} } = schema;
  if (typeof reference === 'string') return fieldsOf(resolved(reference));
  return Object.assign({}, ...(allOf as Schema[]).map(fieldsOf), properties) as Record<string, Schema>;
}

function requiredOf({ $ref: reference, allOf = [], required = [] }: Schema): string[] {
  if (typeof reference === 'string') return requiredOf(resolved(reference));
  return [...(allOf as Schema[]).flatMap(requiredOf), ...(required as string[])];
}

function resolved(reference: string): Schema {
  return schemas[reference.split('/').at(-1) ?? ''] ?? {};
}
