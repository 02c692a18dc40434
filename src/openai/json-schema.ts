/**
 * A caller's JSON Schema as the agent can enforce it. The CLI compiles it as draft 7 and refuses keywords that it does
 * not know; the model API wants an object at the root.
 */
import { createRequire } from 'node:module';
import type { Ajv } from 'ajv';

export type Schema = Record<string, unknown>;

/** It travels on the agent's command line, where one argument has 128 KiB. */
const maxLength = 65_536;
const maxDepth = 64;

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
/** Rules of later drafts: dropping one would let through what the caller forbids. */
const rulesUnknownToTheAgent = new Set([
  ...['prefixItems', 'unevaluatedProperties', 'unevaluatedItems', 'dependentRequired', 'dependentSchemas'],
  ...['minContains', 'maxContains', '$dynamicRef', '$recursiveRef'],
]);

let compiler: Ajv | undefined;

/** Loaded with the first schema: most servers never see one, and it takes memory and start-up. */
function newCompiler(): Ajv {
  const { Ajv } = createRequire(import.meta.url)('ajv') as typeof import('ajv');
  return new Ajv({ strict: false, validateFormats: false, logger: false });
}

/** Without the annotations that the agent would refuse. Throws an Error that says why a schema cannot be enforced. */
export function enforceable(given: Schema): Schema {
  if (lengthOf(given) > maxLength) throw new Error(`is too large: ${lengthOf(given)} characters of ${maxLength}`);
  const schema = withObjectRoot(cleaned(given, 0));
  compiler ??= newCompiler();
  try {
    compiler.compile(schema);
  } catch (error) {
    throw new Error(`is not a valid JSON Schema: ${(error as Error).message.slice(0, 300)}`);
  } finally {
    compiler.removeSchema(schema);
  }
  return schema;
}

function lengthOf(schema: Schema): number {
  try {
    return JSON.stringify(schema).length;
  } catch {
    throw new Error('is nested too deeply');
  }
}

function cleaned(schema: Schema, depth: number): Schema {
  if (depth > maxDepth) throw new Error(`is nested too deeply: more than ${maxDepth} levels`);
  const clean = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(clean);
    return isSchema(value) ? cleaned(value, depth + 1) : value;
  };
  const kept: [string, unknown][] = [];
  for (const [keyword, value] of Object.entries(schema)) {
    if (rulesUnknownToTheAgent.has(keyword)) throw new Error(`uses ${keyword}, which the agent cannot enforce`);
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
  const name = /^#\/(definitions|\$defs)\/([^/]+)$/.exec(String(schema['$ref'] ?? ''));
  const home = name && schema[name[1] ?? ''];
  const target = isSchema(home) ? home[decodeURIComponent(name?.[2] ?? '')] : undefined;
  const { $ref: _, ...rest } = schema;
  const root = isSchema(target) ? { ...rest, ...target } : schema;
  if (root['type'] !== 'object') throw new Error('must have "type": "object" at its root');
  return root;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
