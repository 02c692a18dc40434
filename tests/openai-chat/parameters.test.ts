/** The parameters of a request: each has its effect, is named as ignored, or is refused. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { content, refused } from '../support/chat-checks.ts';
import { askFor, readEvents, type ScriptedService, startScriptedService } from '../support/scripted-agent.ts';
import { ask } from '../support/service.ts';

/** The names in `x-ignored-params`, at both APIs. */
async function ignored(service: ScriptedService, more: Record<string, unknown>): Promise<string[]> {
  const found: string[][] = [];
  for (const api of ['/v1', '/openai/v1'] as const) {
    const response = await service.chat(api, ask('hi', more));
    assert.equal(response.status, 200, `${api}: ${await response.text()}`);
    found.push((response.headers.get('x-ignored-params') ?? '').split(',').filter(Boolean).sort());
  }
  assert.deepEqual(found[0], found[1]);
  return found[0] ?? [];
}

describe('a parameter', () => {
  test(requirement(['item-27', 'item-10', 'item-33', 'item-44']), async (t) => {
    const service = await startScriptedService(t);
    for (const [more, param] of [
      [{ n: 0 }, 'n'],
      [{ n: 2 }, 'n'],
      [{ n: 'one' }, 'n'],
      [{ stream: 'true' }, 'stream'],
      [{ stream: 1 }, 'stream'],
      [{ temperature: 3 }, 'temperature'],
      [{ temperature: '0.5' }, 'temperature'],
      [{ top_p: -0.1 }, 'top_p'],
      [{ presence_penalty: 2.5 }, 'presence_penalty'],
      [{ frequency_penalty: -3 }, 'frequency_penalty'],
      [{ seed: 1.5 }, 'seed'],
      [{ max_tokens: 2.5 }, 'max_tokens'],
      [{ max_completion_tokens: 2.5 }, 'max_completion_tokens'],
      [{ logit_bias: [] }, 'logit_bias'],
      [{ top_logprobs: 21 }, 'top_logprobs'],
      [{ stop: 5 }, 'stop'],
      [{ stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop'],
      [{ stop: ['a', 3] }, 'stop[1]'],
      [{ stop: 'x'.repeat(1001) }, 'stop'],
      [{ stop: ['a', 'x'.repeat(1001)] }, 'stop[1]'],
      [{ tools: {} }, 'tools'],
      [{ tools: ['x'] }, 'tools[0]'],
      [{ modalities: ['text', 'audio'] }, 'modalities[1]'],
      [{ modalities: 'text' }, 'modalities'],
      [{ metadata: 'x' }, 'metadata'],
      [{ user: 7 }, 'user'],
      [{ stream_options: true }, 'stream_options'],
      [{ response_format: 'json' }, 'response_format'],
      [{ response_format: { type: 'yaml' } }, 'response_format.type'],
    ] as const) {
      await refused(service, more, param);
    }
    assert.deepEqual(service.starts(), []);
    assert.deepEqual(await ignored(service, { n: 1, modalities: ['text'] }), []);
  });

  test(
    requirement(['item-32', 'item-33', 'item-34', 'item-40', 'item-42', 'item-43', 'item-46', 'item-30']),
    async (t) => {
      const service = await startScriptedService(t);
      const tool = { type: 'function', function: { name: 'f', parameters: {}, strict: true } };
      const sent = {
        temperature: 0,
        top_p: 1,
        presence_penalty: 0,
        frequency_penalty: 0,
        seed: -1,
        logit_bias: { '50256': -100 },
        max_tokens: 10,
        max_completion_tokens: 20,
        logprobs: true,
        top_logprobs: 2,
        tools: [tool],
        parallel_tool_calls: false,
        functions: [{ name: 'g' }],
        user: 'ann',
        safety_identifier: 'x',
        metadata: { a: 'b' },
        store: true,
        service_tier: 'flex',
        prediction: { type: 'content', content: 'x' },
        verbosity: 'low',
        prompt_cache_key: 'k',
        prompt_cache_retention: '24h',
        web_search_options: {},
        moderation: {},
        stream_options: { include_usage: true },
        some_new_thing: 1,
      };
      assert.deepEqual(await ignored(service, { ...sent, tool_choice: 'auto' }), Object.keys(sent).sort());
      assert.deepEqual(await ignored(service, { store: false, logprobs: false, user: null }), []);
      for (const noLimit of [0, -1, -2]) {
        assert.deepEqual(await ignored(service, { max_tokens: noLimit }), ['max_tokens']);
        assert.deepEqual(await ignored(service, { max_completion_tokens: noLimit }), ['max_completion_tokens']);
      }
    },
  );

  test(requirement('item-32', 'fields without effect are refused with IGNORED_PARAMS=reject'), async (t) => {
    const service = await startScriptedService(t, { IGNORED_PARAMS: 'reject' });
    await refused(service, { temperature: 0.5 }, 'temperature');
    assert.equal((await service.chat('/openai/v1', ask('hi', { n: 1, stop: null }))).status, 200);
  });

  test(requirement('item-41'), async (t) => {
    const service = await startScriptedService(t);
    for (const choice of ['required', 'any', { type: 'function', function: { name: 'f' } }]) {
      await refused(service, { tool_choice: choice }, 'tool_choice');
    }
    await refused(service, { function_call: { name: 'f' } }, 'function_call');
    const allowed = (mode: string) => ({ type: 'allowed_tools', allowed_tools: { mode, tools: [] } });
    await refused(service, { tool_choice: allowed('required') }, 'tool_choice');
    assert.deepEqual(await ignored(service, { tool_choice: 'none', function_call: 'none' }), []);
    for (const type of ['auto', 'none']) assert.deepEqual(await ignored(service, { tool_choice: { type } }), []);
    await refused(service, { tool_choice: { type: 'required' } }, 'tool_choice');
    assert.deepEqual(await ignored(service, { tool_choice: allowed('auto') }), []);
  });

  test(requirement('item-35'), async (t) => {
    const service = await startScriptedService(t);
    const pieces = ['one t', 'wo ST', 'O', 'P three', ' STOP four'];
    for (const stream of [false, true]) {
      assert.equal(await content(service, { say: pieces }, { stop: 'STOP', stream }), 'one two ');
      assert.equal(await content(service, { say: pieces }, { stop: ['x', 'three', ' two'], stream }), 'one');
      assert.equal(await content(service, { say: pieces }, { stop: ['never', ''], stream }), pieces.join(''));
      assert.equal(await content(service, { say: ['ends with ST'] }, { stop: 'STOP', stream }), 'ends with ST');
    }
  });

  test(requirement(['item-34', 'item-54']), async (t) => {
    const service = await startScriptedService(t);
    for (const [reason, finish] of [
      ['max_tokens', 'length'],
      ['end_turn', 'stop'],
      ['stop_sequence', 'stop'],
      ['refusal', 'content_filter'],
      ['something_new', 'stop'],
    ]) {
      const script = { say: ['x'], result: { stop_reason: reason } };
      const whole = (await (await service.chat('/openai/v1', askFor(script))).json()) as {
        choices: { finish_reason: string }[];
      };
      assert.equal(whole.choices[0]?.finish_reason, finish);
      const events = await readEvents(await service.chat('/openai/v1', askFor(script, { stream: true })));
      assert.match(JSON.stringify(events), new RegExp(`"finish_reason":"${finish}"`));
    }
  });

  test(requirement('item-47'), async (t) => {
    const service = await startScriptedService(t);
    const everything = {
      model: 'sonnet',
      messages: [{ role: 'developer', content: 'string', name: 'name' }],
      audio: { format: 'wav', voice: 'alloy' },
      frequency_penalty: -2,
      function_call: 'none',
      functions: [{ name: 'name', description: 'description', parameters: { foo: 'bar' } }],
      logit_bias: { foo: 0 },
      logprobs: true,
      max_completion_tokens: 1,
      max_tokens: 1,
      metadata: { foo: 'string' },
      modalities: ['text'],
      n: 1,
      parallel_tool_calls: true,
      prediction: { content: 'string', type: 'content' },
      presence_penalty: -2,
      prompt_cache_key: 'prompt-cache-key-1234',
      prompt_cache_retention: 'in_memory',
      reasoning_effort: 'none',
      response_format: { type: 'text' },
      safety_identifier: 'safety-identifier-1234',
      seed: -9007199254740991,
      service_tier: 'auto',
      stop: '\n',
      store: true,
      stream: false,
      stream_options: { include_obfuscation: true, include_usage: true },
      temperature: 1,
      tool_choice: 'none',
      tools: [{ function: { name: 'name', parameters: { foo: 'bar' }, strict: true }, type: 'function' }],
      top_logprobs: 0,
      top_p: 1,
      user: 'user-1234',
      verbosity: 'low',
      web_search_options: {
        search_context_size: 'low',
        user_location: { approximate: { city: 'city', country: 'country' }, type: 'approximate' },
      },
    };
    assert.equal((await service.chat('/openai/v1', everything)).status, 200);
    assert.equal((await service.chat('/openai/v1', { ...everything, stream: true })).status, 200);
  });

  test(requirement(['item-48', 'item-98', 'item-55']), async (t) => {
    const service = await startScriptedService(t, { MODEL_ALIASES: 'gpt-4o=opus,openai/gpt-4o-mini=haiku' });
    const list = (await (await service.get('/openai/v1/models')).json()) as { data: { id: string }[] };
    const ids = list.data.map(({ id }) => id);
    assert.deepEqual(ids, ['haiku', 'sonnet', 'opus', 'gpt-4o', 'openai/gpt-4o-mini']);
    for (const model of ids) {
      const response = await service.chat('/openai/v1', ask('hi', { model }));
      assert.equal(((await response.json()) as { model: string }).model, model);
      assert.equal((await service.get(`/openai/v1/models/${encodeURIComponent(model)}`)).status, 200);
    }
    for (const model of ['GPT-4o', 'Haiku', 'gpt-4', '', '__proto__', 'constructor']) {
      const response = await service.chat('/openai/v1', ask('hi', { model }));
      assert.equal(response.status, 400);
      const { error, supported } = (await response.json()) as {
        error: { code: string; param: string };
        supported: string[];
      };
      assert.deepEqual([error.code, error.param, supported], ['model_not_found', 'model', ids]);
    }
  });
});
