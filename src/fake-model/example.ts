/** Makes a value that satisfies a common JSON Schema, as the answer to a question without a script. */

type Schema = Record<string, unknown>;

/** The depth below which the value is `null`, because a schema may contain itself. */
const maxDepth = 12;

/** Returns an example value for a schema. Ignores patterns, formats and conditions. */
export function exampleOf(schema: unknown, root: unknown = schema, depth = 0): unknown {
  if (!isSchema(schema) || depth > maxDepth) return null;
  const inner = (part: unknown) => exampleOf(part, root, depth + 1);
  const given = schema['const'] ?? first(schema['enum']) ?? schema['default'] ?? first(schema['examples']);
  if (given !== undefined) return given;
  if (typeof schema['$ref'] === 'string') return inner(resolved(schema['$ref'], root));
  const [choice] = [schema['anyOf'], schema['oneOf'], schema['allOf']].map(first).filter(isSchema);
  if (choice) return inner(choice);
  const type = Array.isArray(schema['type']) ? schema['type'][0] : schema['type'];
  switch (type ?? (schema['properties'] ? 'object' : 'string')) {
    case 'object': {
      const properties = isSchema(schema['properties']) ? schema['properties'] : {};
      return Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, inner(part)]));
    }
    case 'array':
      return Array.from({ length: Math.max(1, Number(schema['minItems'] ?? 0)) }, () => inner(schema['items'] ?? {}));
    case 'integer':
    case 'number':
      return schema['minimum'] ?? Number(schema['exclusiveMinimum'] ?? 0) + 1;
    case 'boolean':
      return true;
    case 'null':
      return null;
    default:
      return 'an example'.padEnd(Number(schema['minLength'] ?? 0), '.').slice(0, Number(schema['maxLength'] ?? 1000));
  }
}

/**
 * Returns the part of the schema to which a reference leads.
 * @param reference a reference within the schema itself, such as `#/$defs/city`
 */
function resolved(reference: string, root: unknown): unknown {
  const path = reference.split('/').slice(1).map(decodeURIComponent);
  return path.reduce<unknown>((at, name) => (isSchema(at) ? at[name] : undefined), root);
}

function first(list: unknown): unknown {
  return Array.isArray(list) ? list[0] : undefined;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
