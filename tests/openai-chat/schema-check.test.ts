/** Schemas are compiled in threads: correctly, independently of each other, within a time limit, and fairly between keys. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { enforceable } from '../../src/api/schemas/json-schema.ts';
import { SchemaCheck, type SchemaCheckOptions } from '../../src/api/schemas/schema-check.ts';
import { endlessSchema, intrudingSchemas, slowSchemas } from '../support/hostile-schemas.ts';
import { waitUntil } from '../support/wait-until.ts';

const never = new AbortController().signal;

function open(t: TestContext, options: Partial<SchemaCheckOptions> = {}): SchemaCheck {
  const check = new SchemaCheck(options);
  t.after(() => check.close());
  return check;
}

let made = 0;

/** A schema that no other equals. */
function good(): string {
  made += 1;
  return JSON.stringify({ type: 'object', properties: { [`good${made}`]: { type: 'string' } } });
}

const endless = (variant: number) => JSON.stringify(endlessSchema(variant));

/** Each is valid, or invalid in one point. */
const table: object[] = [
  {},
  { properties: { a: { type: ['string', 'null'] }, b: { enum: ['x', 1, null] }, c: { const: {} } } },
  { properties: { a: { $ref: '#/definitions/a' } }, definitions: { a: { items: { $ref: '#/definitions/a' } } } },
  { properties: { a: { $ref: '#/$defs/a' } }, $defs: { a: true } },
  { properties: { a: { type: 'string', format: 'no-such-format', pattern: '^[a-z]+$' } } },
  { properties: { a: { type: 'strng' } } },
  { properties: { a: { $ref: '#/definitions/missing' } } },
  { properties: { a: { $ref: 'https://example.com/elsewhere' } } },
  { properties: { a: { pattern: '([' } } },
  { patternProperties: { '([': {} } },
  { properties: { a: { minLength: -1 } } },
  { properties: { a: { minimum: '1' } } },
  { properties: { a: { enum: [] } } },
  { properties: { a: { nullable: true } } },
  { properties: { a: { nullable: true, type: 'string' } } },
  { properties: { a: { multipleOf: 0 } } },
  { required: 'a' },
  { required: ['a', 'a'] },
  { properties: 3 },
  { properties: { a: 3 } },
  { properties: { a: null } },
  { anyOf: [] },
  { items: [{ type: 'string' }], additionalItems: false },
  { if: { required: ['a'] }, else: { required: ['b'] } },
  { propertyNames: { maxLength: 3 }, dependencies: { a: ['b'], c: { required: ['d'] } } },
  { allOf: [{ $id: 'one' }, { $id: 'one' }] },
  { $ref: '#' },
];

describe('a schema', () => {
  test('is refused if the compiler itself refuses it, and only then', async (t) => {
    const { Ajv } = createRequire(import.meta.url)('ajv') as typeof import('ajv');
    const check = open(t);
    for (const given of table) {
      const schema = { type: 'object', ...given };
      let expected: string | undefined;
      try {
        new Ajv({ strict: false, validateFormats: false, logger: false }).compile(schema);
      } catch (error) {
        expected = `is not a valid JSON Schema: ${(error as Error).message}`;
      }
      // Twice, because the second result is the remembered one.
      for (const _ of [1, 2]) assert.equal(await check.problemOf('a', JSON.stringify(schema), never), expected);
    }
  });

  test('does not change how the next one is compiled', async (t) => {
    const check = open(t, { threads: 1 });
    for (const schema of intrudingSchemas()) {
      const json = JSON.stringify(schema);
      const first = await check.problemOf('a', json, never);
      assert.equal(await check.problemOf('b', json, never), first);
      assert.equal(await check.problemOf('a', good(), never), undefined, json);
      const wrong = JSON.stringify({ type: 'object', properties: { [`a${made}`]: { type: 'no' } } });
      assert.match((await check.problemOf('a', wrong, never)) ?? '', /not a valid JSON Schema/, json);
    }
  });

  test('that is hostile is refused for the right reason, or compiled', async (t) => {
    const check = open(t, { compileMs: 3000 });
    for (const [name, schema] of Object.entries<Record<string, unknown>>({ ...slowSchemas(), ...intrudingSchemas() })) {
      const problem = await enforceable(schema, (json) => check.problemOf('a', json, never)).then(
        () => 'none',
        (error: Error) => error.message,
      );
      assert.match(
        problem,
        /^none$|^is |^holds \d+ names and values; the limit is 20000$|^has a ref/,
        `${name}: ${problem}`,
      );
    }
    assert.equal(await check.problemOf('a', good(), never), undefined);
  });

  test('that takes too long is refused with the limit, and the next one is not', async (t) => {
    const check = open(t, { compileMs: 1000 });
    const problem = await check.problemOf('a', endless(1), never);
    assert.equal(problem, 'is too complex: compiling it takes longer than 1 s, the limit');
    assert.equal(await check.problemOf('a', good(), never), undefined);
  });
});

describe('keys', () => {
  test('wait only for their own schemas', async (t) => {
    const check = open(t, { compileMs: 1500 });
    const settled: string[] = [];
    const hostile = Array.from({ length: 4 }, async (_, at) => {
      await check.problemOf('hostile', endless(at), never);
      settled.push('hostile');
    });
    for (let count = 0; count < 5; count += 1) {
      assert.equal(await check.problemOf('other', good(), never), undefined);
      settled.push('good');
    }
    await Promise.all(hostile);
    // The hostile key has one of the two threads, so its four schemas are compiled one after the other.
    assert.equal(settled.at(-1), 'hostile', settled.join());
  });

  test('are served alternately', async (t) => {
    const check = open(t, { compileMs: 500, threads: 1 });
    const settled: string[] = [];
    const send = async (owner: string, json: string) => {
      await check.problemOf(owner, json, never);
      settled.push(owner);
    };
    await Promise.all([
      ...[1, 2, 3].map((at) => send('hostile', endless(at))),
      ...[1, 2].map(() => send('other', good())),
    ]);
    assert.deepEqual(settled, ['hostile', 'other', 'hostile', 'other', 'hostile']);
  });

  test('may have a limited number of schemas waiting', async (t) => {
    const check = open(t, { compileMs: 1000, maxWaiting: 2 });
    const sent = [1, 2, 3].map((at) => check.problemOf('a', endless(at), never));
    await assert.rejects(check.problemOf('a', good(), never), {
      code: 'schemas_waiting',
      message: /2 of this key wait; the limit is 2/,
    });
    assert.equal(await check.problemOf('b', good(), never), undefined);
    await Promise.all(sent);
  });
});

test('the schema of a client that has gone leaves the queue', async (t) => {
  const check = open(t, { compileMs: 1000, maxWaiting: 1 });
  const gone = new AbortController();
  const running = check.problemOf('a', endless(1), never);
  const waiting = check.problemOf('a', endless(2), gone.signal);
  gone.abort();
  await assert.rejects(waiting, { code: 'client_gone' });
  await assert.rejects(check.problemOf('a', good(), gone.signal), { code: 'client_gone' });
  assert.equal(await check.problemOf('a', good(), never), undefined);
  await running;
});

test('closing ends the compilation, and schemas that wait fail with an error', async (t) => {
  const check = open(t, { compileMs: 60_000 });
  const sent = [1, 2, 3].map((at) => check.problemOf('a', endless(at), never));
  const refused = sent.map((one) => assert.rejects(one, { code: 'shutting_down' }));
  await check.close();
  await Promise.all(refused);
  await assert.rejects(check.problemOf('a', good(), never), { code: 'shutting_down' });
});

test('an idle thread is ended, and a later schema has another', { skip: process.platform !== 'linux' }, async (t) => {
  const threads = () => readdirSync('/proc/self/task').length;
  const check = open(t, { idleMs: 500 });
  for (let round = 0; round < 2; round += 1) {
    assert.equal(await check.problemOf('a', good(), never), undefined);
    const withThread = threads();
    await waitUntil('the thread is gone', () => threads() < withThread);
  }
});

test('a schema that comes while a thread ends leaves none behind', { skip: process.platform !== 'linux' }, async () => {
  const threads = () => readdirSync('/proc/self/task').length;
  const check = new SchemaCheck({ idleMs: 1, threads: 1 });
  await check.problemOf('a', good(), never);
  const before = threads();
  for (let round = 0; round < 12; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, round % 4));
    assert.equal(await check.problemOf('a', good(), never), undefined);
  }
  await check.close();
  await waitUntil('no thread is left', () => threads() < before);
});

test('an idle thread does not keep the process alive', async () => {
  const file = JSON.stringify(new URL('../../src/api/schemas/schema-check.ts', import.meta.url).href);
  const script = `
    const { SchemaCheck } = await import(${file});
    const check = new SchemaCheck({ idleMs: 600_000 });
    console.log(await check.problemOf('a', '{"type":"object"}', new AbortController().signal));`;
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { timeout: 60_000 });
  assert.equal((await run).stdout, 'undefined\n');
});
