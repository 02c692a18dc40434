/**
 * Prepares a caller's JSON Schema for the agent. The CLI compiles it as draft 7 and refuses unknown keywords. The model
 * API requires an object at the root.
 */
import { jsonSize, overJsonLimits } from '../../http/json-bounds.ts';
import { startOf } from '../../truncate.ts';

export type Schema = Record<string, unknown>;

/** Returns what is wrong with a schema, as the end of a sentence. Returns `undefined` if the schema can be compiled. */
export type FindProblem = (json: string) => Promise<string | undefined>;

/** A schema that the agent cannot enforce. The message is the end of a sentence. */
export class Unenforceable extends Error {}

/** The schema is an argument of the agent's command line, which may have 128 KiB. */
const maxLength = 65_536;
const maxDepth = 64;
/** 64 KiB hold more items only if most values have one or two characters. */
const limits = { items: 20_000, depth: 512 };

const mapsOfSchemas = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependencies']);
const listsOfSchemas = new Set(['allOf', 'anyOf', 'oneOf']);
const schemas = new Set([
  ...['items', 'additionalItems', 'contains', 'not', 'if', 'then', 'else', 'propertyNames', 'additionalProperties'],
]);
const plain = new Set([
  ...['$id', '$ref', '$comment', 'type', 'nullable', 'enum', 'const', 'format', 'required'],
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'minLength', 'maxLength', 'pattern'],
  ...['minItems', 'maxItems', 'uniqueItems', 'minProperties', 'maxProperties'],
  ...['title', 'description', 'default', 'examples', 'deprecated', 'readOnly', 'writeOnly'],
  ...['contentEncoding', 'contentMediaType'],
]);
/** Rules of later drafts. They are refused, because without them the agent could return what the caller forbids. */
const rulesUnknownToTheAgent = new Set([
  ...['prefixItems', 'unevaluatedProperties', 'unevaluatedItems', 'dependentRequired', 'dependentSchemas'],
  ...['minContains', 'maxContains', '$dynamicRef', '$recursiveRef'],
]);

/**
 * Returns the schema without the annotations that the agent refuses. Throws `Unenforceable`, or the error of
 * `findProblem`.
 */
export async function enforceable(given: Schema, findProblem: FindProblem): Promise<Schema> {
  const json = JSON.stringify(given);
  if (json.length > maxLength) throw new Unenforceable(`is too large: ${json.length} characters of ${maxLength}`);
  const over = overJsonLimits(jsonSize(Buffer.from(json)), limits);
  if (over) throw new Unenforceable(over);
  const schema = withObjectRoot(cleaned(given, 0));
  const problem = await findProblem(JSON.stringify(schema));
  if (problem !== undefined) throw new Unenforceable(problem);
  return schema;
}

function cleaned(schema: Schema, depth: number): Schema {
  if (depth > maxDepth) throw new Unenforceable(`is nested too deeply: more than ${maxDepth} levels`);
  const clean = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(clean);
    return isSchema(value) ? cleaned(value, depth + 1) : value;
  };
  const kept: [string, unknown][] = [];
  for (const [keyword, value] of Object.entries(schema)) {
    if (rulesUnknownToTheAgent.has(keyword)) throw new Unenforceable(`uses ${keyword}, which the agent cannot enforce`);
    if (plain.has(keyword)) kept.push([keyword, value]);
    else if (schemas.has(keyword) || listsOfSchemas.has(keyword)) kept.push([keyword, clean(value)]);
    else if (mapsOfSchemas.has(keyword)) kept.push([keyword, isSchema(value) ? mapped(value, clean) : value]);
  }
  return Object.fromEntries(kept);
}

function mapped(schemasByName: Schema, clean: (value: unknown) => unknown): Schema {
  return Object.fromEntries(Object.entries(schemasByName).map(([name, schema]) => [name, clean(schema)]));
}

/** Some generators write the root as a reference to one of its own definitions. */
function withObjectRoot(schema: Schema): Schema {
  const { $ref: reference, ...rest } = schema;
  const target = typeof reference === 'string' ? definitionOf(schema, reference) : undefined;
  const root = isSchema(target) ? { ...rest, ...target } : schema;
  if (root['type'] !== 'object') throw new Unenforceable('must have "type": "object" at its root');
  return root;
}

function definitionOf(schema: Schema, reference: string): unknown {
  const [, home = '', name = ''] = /^#\/(definitions|\$defs)\/([^/]+)$/.exec(reference) ?? [];
  const definitions = schema[home];
  try {
    const key = decodeURIComponent(name);
    return isSchema(definitions) && Object.hasOwn(definitions, key) ? definitions[key] : undefined;
  } catch {
    throw new Unenforceable(`has a reference that is not well-formed: ${startOf(reference, 100)}`);
  }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
