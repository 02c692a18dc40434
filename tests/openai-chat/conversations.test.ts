/** What the model receives of a conversation, with the real agent and the fake model. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type ContentBlock, systemText } from '../../src/fake-model/messages-api.ts';
import { requirement } from '../contract/requirements.ts';
import { scratchFolder } from '../support/fake-model-agent.ts';
import { ask, startFakeModelService } from '../support/service.ts';
import { startHearing as start } from '../support/what-the-model-hears.ts';

const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

const text = (words: string): ContentBlock => ({ type: 'text', text: words });

describe('a conversation', () => {
  test(
    requirement(
      ['item-16', 'item-18', 'item-26'],
      'the roles alternate as in the request, and the system texts are one prompt',
    ),
    async (t) => {
      const { say } = await start(t);
      const { asked, heard } = await say([
        { role: 'system', content: 'RULE ONE' },
        { role: 'user', content: 'first question' },
        { role: 'assistant', content: [{ type: 'text', text: 'first answer' }] },
        { role: 'developer', content: [{ type: 'text', text: 'RULE TWO' }] },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'second' },
            { type: 'text', text: 'question' },
          ],
        },
      ]);
      assert.match(systemText(asked), /RULE ONE\nRULE TWO/);
      assert.deepEqual(heard, [
        { role: 'user', blocks: [text('first question')] },
        { role: 'assistant', blocks: [text('first answer')] },
        { role: 'user', blocks: [text('second'), text('question')] },
      ]);
    },
  );

  test(requirement('item-17'), async (t) => {
    const { say } = await start(t);
    const { heard } = await say([{ role: 'system', content: 'ONLY THIS' }]);
    assert.deepEqual(heard, [{ role: 'user', blocks: [text('ONLY THIS')] }]);
  });

  test(requirement('item-26'), async (t) => {
    const { say } = await start(t);
    const past = Array.from({ length: 30 }, (_, at) => ({
      role: at % 2 === 0 ? 'user' : 'assistant',
      content: `turn ${at}`,
    }));
    const { heard } = await say(past);
    assert.deepEqual(
      heard.slice(0, 30),
      past.map(({ role, content }) => ({ role, blocks: [text(content)] })),
    );
    assert.equal(heard.length, 31);
    assert.equal(heard.at(-1)?.role, 'user');

    const first = await say([
      { role: 'assistant', content: 'Hello, what can I do?' },
      { role: 'user', content: 'This.' },
    ]);
    assert.deepEqual(
      first.heard.map(({ role }) => role),
      ['user', 'assistant', 'user'],
    );
  });

  test(requirement(['item-21', 'item-19']), async (t) => {
    const { say } = await start(t);
    const call = (id: string, name: string, args: string) => ({
      id,
      type: 'function',
      function: { name, arguments: args },
    });
    const { heard } = await say([
      { role: 'user', content: 'weather in two cities?' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [call('c:1', 'weather', '{"city":"Rome"}'), call('c2', 'weather', 'Oslo')],
      },
      { role: 'tool', tool_call_id: 'c2', content: [{ type: 'text', text: 'snow' }] },
      { role: 'tool', tool_call_id: 'c:1', content: 'sun' },
      { role: 'assistant', content: 'Sun and snow.' },
      { role: 'user', content: 'thanks' },
    ]);
    assert.deepEqual(
      heard.map(({ role }) => role),
      ['user', 'assistant', 'user', 'assistant', 'user'],
    );
    const calls = heard[1]?.blocks.flatMap((block) => (block.type === 'tool_use' ? [block] : [])) ?? [];
    const results = heard[2]?.blocks.flatMap((block) => (block.type === 'tool_result' ? [block] : [])) ?? [];
    assert.deepEqual(
      calls.map(({ input }) => input),
      [{ city: 'Rome' }, { arguments: 'Oslo' }],
    );
    assert.deepEqual(
      results.map(({ tool_use_id, content }) => [calls.findIndex(({ id }) => id === tool_use_id), flat(content)]),
      [
        [1, 'snow'],
        [0, 'sun'],
      ],
    );
  });

  test(
    requirement('item-21', 'a tool that returned nothing has an empty result, and large numbers stay exact'),
    async (t) => {
      const { say } = await start(t);
      const ids = '{"id":12345678901234567890}';
      const { heard } = await say([
        { role: 'user', content: 'look' },
        { role: 'assistant', content: null, tool_calls: [{ id: 'a', function: { name: 'f', arguments: ids } }] },
        { role: 'tool', tool_call_id: 'a', content: null },
        { role: 'user', content: 'and?' },
      ]);
      const blocks = heard.flatMap(({ blocks: each }) => each);
      assert.deepEqual(
        blocks.flatMap((block) => (block.type === 'tool_use' ? [block.input] : [])),
        [{ arguments: ids }],
      );
      assert.deepEqual(
        blocks.flatMap((block) => (block.type === 'tool_result' ? [flat(block.content)] : [])),
        [''],
      );
    },
  );

  test(
    requirement('item-21', 'tool calls without a result, and results without a call, reach the model as text'),
    async (t) => {
      const { say } = await start(t);
      const { heard } = await say([
        { role: 'tool', tool_call_id: 'lost', content: 'a result of long ago' },
        {
          role: 'assistant',
          content: 'I see.',
          tool_calls: [{ id: 'x', function: { name: 'look', arguments: '{"at":1}' } }],
        },
        { role: 'user', content: 'never mind' },
      ]);
      assert.match(JSON.stringify(heard[0]), /a result of long ago/);
      assert.match(JSON.stringify(heard[1]), /I see\..*look.*at/);
      assert.ok(!JSON.stringify(heard).includes('tool_use'));
    },
  );

  test(requirement('item-22'), async (t) => {
    const { say, service } = await start(t);
    const part = (url: unknown) => ({ type: 'image_url', image_url: url });
    const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } };
    const lines = png.replace(/.{20}/g, '$&\r\n ');
    assert.ok(png.endsWith('='));
    for (const given of [
      { url: `data:image/png;base64,${png}`, detail: 'low' },
      `data:image/jpeg;base64,${png}`,
      `data:image/png;base64,\n${lines}\n`,
      ` data:image/png;base64,${png.replace(/=+$/, '')}`,
    ]) {
      const { heard } = await say([{ role: 'user', content: [{ type: 'text', text: 'what is this?' }, part(given)] }]);
      assert.deepEqual(heard[0]?.blocks, [text('what is this?'), image]);
    }
    const refusal = async (url: unknown, count = 1, api = '/openai/v1') => {
      const content = Array.from({ length: count }, () => part(url));
      const response = await service.post(`${api}/chat/completions`, { messages: [{ role: 'user', content }] });
      assert.equal(response.status, 400);
      return JSON.stringify(await response.json());
    };
    assert.match(await refusal('data:image/png;base64,@@@@'), /content\[0\]\.image_url: the image is not valid base64/);
    assert.match(await refusal('data:image/tiff;base64,SUkqAA=='), /must be a PNG, JPEG, GIF or WebP/);
    assert.match(await refusal(`data:image/png;base64,${'A'.repeat(5_242_884)}`), /too large: 5242884 .* of 5242880/);
    assert.match(await refusal(`data:image/png;base64,${png}`, 101), /too many images: 101 of 100/);
    assert.match(await refusal(`data:image/png;base64,${png}`, 1, '/v1'), /image input is not supported/);
  });

  test(requirement('item-23'), async (t) => {
    const { service, model } = await start(t);
    for (const url of [
      'http://127.0.0.1:1/x.png',
      'https://example.org/x.png',
      'file:///etc/passwd',
      '/etc/passwd',
      '',
    ]) {
      const content = [{ type: 'image_url', image_url: { url } }];
      const response = await service.post('/openai/v1/chat/completions', { messages: [{ role: 'user', content }] });
      assert.equal(response.status, 400);
      assert.match(
        JSON.stringify(await response.json()),
        /fetches no remote images|reads no files|must be a data: URL/,
      );
    }
    assert.deepEqual(model.asked(), []);
  });
});

test(requirement('C-15'), async (t) => {
  const workspace = await scratchFolder(t);
  const outside = await scratchFolder(t);
  await mkdir(join(workspace, '.claude', 'commands'), { recursive: true });
  await writeFile(join(workspace, 'inside.txt'), 'SECRET-INSIDE');
  await writeFile(join(outside, 'outside.txt'), 'SECRET-OUTSIDE');
  await writeFile(
    join(workspace, '.claude', 'commands', 'leak.md'),
    '---\ndescription: leaks\n---\nSECRET-COMMAND $ARGUMENTS',
  );
  const { say } = await start(t, { WORKSPACE_DIR: workspace, WORKSPACE_MODE: 'shared' });
  const prompts = [
    `look at @inside.txt and @./inside.txt and @${outside}/outside.txt`,
    '/leak now',
    '/context',
    '/clear',
    '--version',
    '-p hello',
    '!cat inside.txt',
  ];
  for (const api of ['/v1', '/openai/v1']) {
    for (const prompt of prompts) {
      const { asked, heard } = await say([{ role: 'user', content: prompt }], {}, api);
      assert.doesNotMatch(JSON.stringify(asked), /SECRET-/, prompt);
      assert.equal(JSON.stringify(heard.at(-1)?.blocks).includes(JSON.stringify(prompt).slice(1, -1)), true, prompt);
    }
  }
});

describe('a setting of the request', () => {
  test(requirement('item-45'), async (t) => {
    const { say, service } = await start(t);
    for (const [asked, effort] of [
      ['minimal', 'low'],
      ['high', 'high'],
      ['max', 'max'],
    ] as const) {
      const { asked: request } = await say([{ role: 'user', content: 'hi' }], {
        model: 'sonnet',
        reasoning_effort: asked,
      });
      assert.equal(request.output_config?.effort, effort);
    }
    const wrong = await service.post('/openai/v1/chat/completions', ask('hi', { reasoning_effort: 'huge' }));
    assert.equal(wrong.status, 400);
  });

  test(requirement(['item-37', 'item-38', 'item-36']), async (t) => {
    const { say } = await start(t);
    const content = (answer: { choices: { message: { content: string } }[] }) =>
      answer.choices[0]?.message.content ?? '';
    const schema = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      properties: { city: { type: 'string', example: 'Rome' } },
      required: ['city'],
      additionalProperties: false,
    };
    const question = [{ role: 'user', content: 'Let me see. [[json: {"city":"Paris"}]]' }];
    for (const api of ['/v1', '/openai/v1']) {
      const inSchema = await say(
        question,
        { response_format: { type: 'json_schema', json_schema: { name: 'place', schema, strict: true } } },
        api,
      );
      assert.deepEqual(JSON.parse(content(inSchema.answer)), { city: 'Paris' });
      const anyJson = await say(question, { response_format: { type: 'json_object' } }, api);
      assert.deepEqual(JSON.parse(content(anyJson.answer)), { city: 'Paris' });
    }
    const free = await say([{ role: 'user', content: '[[say: prose]]' }], { response_format: { type: 'text' } });
    assert.equal(content(free.answer), 'prose');
  });

  test(requirement('item-39'), async (t) => {
    const { service } = await startFakeModelService(t);
    const body = ask('[[say: only prose]] [[say: again prose]]', { response_format: { type: 'json_object' } });
    const response = await service.post('/openai/v1/chat/completions', body);
    assert.equal(response.status, 503);
    assert.equal(response.headers.get('x-should-retry'), 'false');
  });
});

function flat(content: string | ContentBlock[] | undefined): string {
  return typeof content === 'string'
    ? content
    : (content ?? []).map((block) => ('text' in block ? block.text : '')).join('');
}
