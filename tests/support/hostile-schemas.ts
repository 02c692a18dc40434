/** JSON Schemas that are small but take long to compile, or that change the compiler for later schemas. */

type Schema = Record<string, unknown>;

export function byName(count: number, value: (at: number) => unknown, prefix = 'p'): Schema {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [prefix + at, value(at)]));
}

export function list<T>(count: number, item: (at: number) => T): T[] {
  return Array.from({ length: count }, (_, at) => item(at));
}

const text = { type: 'string' };

function object(more: Schema): Schema {
  return { type: 'object', ...more };
}

/** A keyword nested in itself. */
function nested(levels: number, wrap: (inner: Schema) => Schema): Schema {
  return list(levels, (at) => at).reduce<Schema>(wrap, {});
}

/** Takes three seconds or more to compile. With many more names the stack of the compiler overflows. */
export function endlessSchema(variant = 0): Schema {
  return object({ patternProperties: byName(4000, () => false, `${variant}`) });
}

/** Schemas for which ajv with its default settings takes seconds, or does not end. */
export function slowSchemas(): Record<string, Schema> {
  const large = object({ properties: byName(100, () => text) });
  const two = (at: number) => {
    const next = { $ref: `#/definitions/p${at + 1}` };
    return at < 27 ? { allOf: [next, next] } : text;
  };
  return {
    'references to a large definition': object({
      definitions: { large },
      properties: byName(200, () => ({ $ref: '#/definitions/large' })),
    }),
    'more of them': object({
      definitions: { large: object({ properties: byName(400, () => text) }) },
      properties: byName(1000, () => ({ $ref: '#/definitions/large' })),
    }),
    'oneOf of required': object({ oneOf: list(1200, (at) => ({ required: [`r${at}`] })) }),
    'allOf of required': object({ allOf: list(2500, (at) => ({ required: [`r${at}`] })) }),
    'anyOf of objects': object({ anyOf: list(1500, (at) => object({ required: [`r${at}`] })) }),
    'enum of objects': object({ properties: { a: { enum: list(6000, (at) => ({ a: at })) } } }),
    'enum of equals': object({ properties: { a: { enum: list(15_000, () => ({})) } } }),
    'many enums': object({ properties: byName(300, () => ({ enum: list(50, (at) => at) })) }),
    'patternProperties that match each other': endlessSchema(),
    'a long required': object({ required: list(6000, (at) => `r${at}`) }),
    'a chain of definitions': object({
      definitions: byName(1500, (at) => (at < 1499 ? { $ref: `#/definitions/p${at + 1}` } : text)),
      properties: { a: { $ref: '#/definitions/p0' } },
    }),
    'a tree that doubles at each level': object({
      definitions: byName(28, two),
      properties: { a: { $ref: '#/definitions/p0' } },
    }),
    'a deep allOf': object({ allOf: [nested(60, (inner) => ({ allOf: [inner, ...list(20, () => text)] }))] }),
    'a deep not': object({
      not: nested(60, (inner) => ({ not: inner, oneOf: list(40, (at) => ({ required: [`r${at}`] })) })),
    }),
    'many if': object({ allOf: list(700, (at) => ({ if: { required: [`r${at}`] }, else: { required: ['t'] } })) }),
    'many ids': object({ properties: byName(1000, (at) => ({ $id: `i${at}` })) }),
    dependencies: object({ dependencies: byName(1500, () => ({ required: ['a'] })) }),
    'patterns that take long to match': object({
      patternProperties: byName(200, (at) => ({ pattern: `^(a+)+${at}$` }), '^(a+)+$'),
      properties: byName(200, () => text, 'a'.repeat(40)),
    }),
  };
}

const draft7 = 'http://json-schema.org/draft-07/schema';

/** Schemas that name the draft itself, each other, or the prototypes of objects. */
export function intrudingSchemas(): Schema[] {
  const proto = JSON.parse('{"__proto__": {"type": "object"}, "constructor": {"type": "string"}}') as Schema;
  return [
    ...[draft7, `${draft7}#`, 'http://json-schema.org/schema', '__proto__', 'constructor', '', '#', '#/definitions/a'],
  ]
    .flatMap((id) => [{ $id: id }, { $id: id, properties: { a: { $ref: id } } }, { properties: { a: { $id: id } } }])
    .map(object)
    .concat([
      object({ $id: 'mine', properties: { a: text } }),
      object({ $id: 'mine', properties: { a: { type: 'number' } } }),
      object({ properties: proto, definitions: proto, required: ['__proto__'] }),
      object({ patternProperties: proto, dependencies: proto }),
      object({ definitions: proto, properties: { a: { $ref: '#/definitions/__proto__' } } }),
      { ...object({ definitions: proto }), $ref: '#/definitions/__proto__' },
      { ...object({ definitions: {} }), $ref: '#/definitions/constructor' },
      { ...object({ definitions: {} }), $ref: '#/definitions/%zz' },
      { ...object({}), $ref: { toString: 'no function' } },
      object({ properties: { a: { $ref: draft7 } } }),
      object({ $ref: '#' }),
    ]);
}
