/** The formats that a request may demand of its answer, and which JSON Schemas the agent can enforce. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { content, refused } from '../support/chat-checks.ts';
import { type Script, startScriptedService } from '../support/scripted-agent.ts';
import { ask } from '../support/service.ts';

describe('a format', () => {
  test(
    requirement(['item-38', 'item-37'], 'a schema that cannot be enforced is 400, and starts nothing'),
    async (t) => {
      const service = await startScriptedService(t);
      const deep = Array.from({ length: 100 }).reduce<object>(
        (inner) => ({ type: 'object', properties: { a: inner } }),
        {},
      );
      for (const [schema, says] of [
        [{ type: 'strng' }, /"type": "object"/],
        [{ type: 'array', items: {} }, /"type": "object"/],
        [{ type: 'object', properties: 3 }, /not a valid JSON Schema/],
        [{ type: 'object', properties: { a: { type: 'nope' } } }, /not a valid JSON Schema/],
        [{ type: 'object', properties: { a: { $ref: '#/$defs/missing' } } }, /not a valid JSON Schema/],
        [{ type: 'object', properties: { a: { type: 'string', pattern: '([' } } }, /not a valid JSON Schema/],
        [{ type: 'object', properties: { a: { prefixItems: [] } } }, /cannot enforce/],
        [{ type: 'object', description: 'x'.repeat(70_000) }, /too large/],
        [deep, /too deeply/],
      ] as const) {
        const response_format = { type: 'json_schema', json_schema: { name: 'x', schema } };
        const response = await service.chat('/openai/v1', ask('hi', { response_format }));
        const { error } = (await response.json()) as { error: { param: string; message: string } };
        assert.equal(response.status, 400);
        assert.equal(error.param, 'response_format.json_schema.schema');
        assert.match(error.message, says);
      }
      for (const json_schema of [undefined, 'x', { schema: 'x' }]) {
        const response = await service.chat(
          '/openai/v1',
          ask('hi', { response_format: { type: 'json_schema', json_schema } }),
        );
        assert.equal(response.status, 400);
      }
      assert.deepEqual(service.starts(), []);
    },
  );

  test(requirement('item-38', 'a schema reaches the agent in the form that it can enforce'), async (t) => {
    const service = await startScriptedService(t);
    const place = {
      type: 'object',
      title: 'Place',
      'x-order': 1,
      properties: { city: { type: 'string', example: 'Rome' } },
    };
    const schema = {
      $schema: 'http://json-schema.org/draft-07/schema#',
      $ref: '#/definitions/Place',
      definitions: { Place: place },
    };
    const response_format = { type: 'json_schema', json_schema: { name: 'x', schema } };
    const script = { say: [], result: { structured_output: { city: 'Rome' } } };
    assert.equal(await content(service, script, { response_format }), '{"city":"Rome"}');
    const requests = service
      .received()
      .map(({ request }) => request as { subtype: string; jsonSchema?: unknown } | undefined);
    const request = requests.find((sent) => sent?.subtype === 'initialize');
    const clean = { type: 'object', title: 'Place', properties: { city: { type: 'string' } } };
    assert.deepEqual(request?.jsonSchema, { definitions: { Place: clean }, ...clean });
    assert.equal(await content(service, script, { response_format, stream: true }), '{"city":"Rome"}');
  });

  test(requirement('item-38', 'a schema beside json_object, and a description, have their effect too'), async (t) => {
    const service = await startScriptedService(t);
    const script: Script = { result: { structured_output: { city: 'Rome' } } };
    const properties = { city: { type: 'string' } };
    for (const [response_format, jsonSchema] of [
      [
        { type: 'json_object', schema: { properties } },
        { type: 'object', properties },
      ],
      [
        { type: 'json_object', schema: { type: 'object', title: 'x', properties } },
        { type: 'object', title: 'x', properties },
      ],
      [{ type: 'json_object' }, { type: 'object' }],
      [
        {
          type: 'json_schema',
          json_schema: { name: 'x', description: 'A city', schema: { type: 'object', properties } },
        },
        { description: 'A city', type: 'object', properties },
      ],
    ] as const) {
      assert.equal(await content(service, script, { response_format }), '{"city":"Rome"}');
      const requests = service.received().filter(({ type }) => type === 'control_request');
      assert.deepEqual(requests.at(-1)?.['request'], { ...(requests.at(-1)?.['request'] as object), jsonSchema });
    }
    const broken = { type: 'json_object', schema: { properties: 3 } };
    await refused(service, { response_format: broken }, 'response_format.schema');
    await refused(service, { response_format: { type: 'json_object', schema: 'x' } }, 'response_format.schema');
  });
});
