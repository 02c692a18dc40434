/**
 * What the server needs of a `claude` command, against the packaged one, or the one in `CLAUDE_UNDER_TEST`. `npm run
 * compat` runs this for several versions and prints a table.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { hostEnvironment } from '../../src/config/config.ts';
import { blocksOf, type MessagesRequest, systemText } from '../../src/fake-model/messages-api.ts';
import { unsealed } from '../support/bubblewrap.ts';
import { fakeModelAgent, scratchFolder } from '../support/fake-model-agent.ts';
import { commit, makeClone, makeSandbox } from '../support/git-repositories.ts';
import { ended, execute } from '../support/http-jobs.ts';
import { processesOf } from '../support/server-process.ts';
import { ask, startTestService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

const underTest = process.env['CLAUDE_UNDER_TEST'];
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

type Message = { role: string; content: unknown };

async function start(t: TestContext, settings: Record<string, string> = {}) {
  const { model, environment, home, claudeBin } = await fakeModelAgent(t);
  const service = await startTestService(t, { CLAUDE_BIN: underTest ?? claudeBin, ...settings }, environment);
  /** Sends a conversation. Returns the text of the answer. */
  const say = async (messages: Message[] | string, more: object = {}, api = '/openai/v1') => {
    const list = typeof messages === 'string' ? [{ role: 'user', content: messages }] : messages;
    const answer = await service.post(`${api}/chat/completions`, { model: 'haiku', messages: list, ...more });
    const text = await answer.text();
    assert.equal(answer.status, 200, text);
    return (JSON.parse(text) as { choices: [{ message: { content: string } }] }).choices[0].message.content;
  };
  const lastRequest = () => {
    const request = model.asked().at(-1);
    assert.ok(request);
    return request;
  };
  return { service, model, home, say, lastRequest };
}

async function startOnRepository(t: TestContext, files: Record<string, string>, settings: Record<string, string> = {}) {
  const sandbox = makeSandbox();
  t.after(() => sandbox.remove());
  const { clone } = makeClone(sandbox);
  commit(clone, files);
  return { clone, ...(await start(t, { WORKSPACE_DIR: clone, GIT_SYNC: 'off', ...settings })) };
}

/** Everything that the model received, as text. */
const everything = (requests: MessagesRequest[]) => JSON.stringify(requests);

/** The tests run one after the other, so all agents of this process are those of one server. */
const agents = () => processesOf(process.pid);

describe('this version of claude', () => {
  for (const [api, name] of [
    ['/v1', 'native API'],
    ['/openai/v1', 'OpenAI API'],
  ] as const) {
    test(`chat, ${name}`, async (t) => {
      const { say } = await start(t);
      assert.equal(await say('Hello [[say: Good day]]', {}, api), 'Good day');
    });
  }

  test('stream', async (t) => {
    const { service } = await start(t);
    const answer = await service.post('/openai/v1/chat/completions', ask('[[say: one two three]]', { stream: true }));
    const text = await answer.text();
    const deltas = [...text.matchAll(/"delta":\{"content":("[^"]*")/g)].map(([, part = '""']) => JSON.parse(part));
    assert.equal(deltas.join(''), 'one two three');
    assert.match(text, /data: \[DONE\]\n\n$/);
  });

  test('history with an image', async (t) => {
    const { say, lastRequest } = await start(t);
    const image = { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } };
    await say([
      { role: 'user', content: [{ type: 'text', text: 'first question' }, image] },
      { role: 'assistant', content: 'first answer' },
      { role: 'user', content: 'second question' },
    ]);
    const { messages } = lastRequest();
    const roles = messages.map(({ role }) => role).filter((role) => role !== 'system');
    assert.deepEqual(roles, ['user', 'assistant', 'user']);
    const types = messages.flatMap((message) => blocksOf(message).map(({ type }) => type));
    assert.ok(types.includes('image'));
  });

  test('system prompt', async (t) => {
    const { say, lastRequest } = await start(t);
    await say([
      { role: 'system', content: 'RULE ONE' },
      { role: 'user', content: 'hello' },
    ]);
    assert.match(systemText(lastRequest()), /RULE ONE/);
  });

  test('schema', async (t) => {
    const { say } = await start(t);
    const schema = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] };
    const format = { response_format: { type: 'json_schema', json_schema: { name: 'a', schema } } };
    assert.deepEqual(JSON.parse(await say('[[json: {"n":7}]]', format)), { n: 7 });
  });

  test('effort', async (t) => {
    const { say, lastRequest } = await start(t);
    await say('hello', { model: 'sonnet', reasoning_effort: 'low' });
    assert.equal(lastRequest().output_config?.effort, 'low');
  });

  test('continued', async (t) => {
    const { say, model } = await start(t);
    const first = 'one [[say: first]]';
    await say(first);
    const before = await agents();
    const asked = model.asked().length;
    const conversation = [
      { role: 'user', content: first },
      { role: 'assistant', content: 'first' },
      { role: 'user', content: 'two [[say: second]]' },
    ];
    assert.equal(await say(conversation), 'second');
    assert.equal(model.asked().length, asked + 1);
    assert.ok(
      (await agents()).some((pid) => before.includes(pid)),
      'the process is the same',
    );
  });

  test('reset, and nothing of the first conversation in the second', async (t) => {
    const { say, model } = await start(t, { RESET_AGENTS: 'on' });
    await say('MARKER-ONE [[say: first]]');
    const [agent] = await agents();
    await say('something else [[say: second]]');
    assert.doesNotMatch(everything(model.asked().slice(-1)), /MARKER-ONE/);
    assert.ok((await agents()).includes(agent ?? 0), 'the process is the same');
  });

  test('prewarmed', async (t) => {
    const { say } = await start(t, { PREWARMED_AGENTS: '1', RESET_AGENTS: 'off' });
    const before = await waitUntil('an agent is prewarmed', async () => {
      const found = await agents();
      return found.length > 0 && found;
    });
    assert.equal(await say('[[say: ready]]'), 'ready');
    assert.ok(
      (await agents()).some((pid) => before.includes(pid)),
      'the process is the prewarmed one',
    );
  });

  for (const api of ['/v1', '/openai/v1']) {
    test(`@file and /command stay text, ${api}`, async (t) => {
      // In a sandbox the agent could not read the file anyway.
      const { say, model } = await start(t, { SANDBOX: 'off' });
      const secret = join(await scratchFolder(t), 'secret.txt');
      writeFileSync(secret, 'SECRET-CONTENT');
      for (const text of [`@${secret} please`, '/context', '--version', `/init @${secret}`]) {
        const asked = model.asked().length;
        await say(text, {}, api);
        const requests = model.asked().slice(asked);
        assert.equal(requests.length, 1, text);
        assert.doesNotMatch(everything(requests), /SECRET-CONTENT/);
        assert.ok(everything(requests).includes(JSON.stringify(text).slice(1, -1)), text);
      }
    });
  }

  test('cancel', async (t) => {
    const { service } = await start(t);
    const client = new AbortController();
    const asked = service.post('/openai/v1/chat/completions', ask('[[stall]]'), {}, client.signal);
    asked.catch(() => {});
    await waitUntil('the agent runs', async () => (await agents()).length > 0);
    client.abort();
    await waitUntil('no process is left', async () => (await agents()).length === 0);
  });

  test('refused key', async (t) => {
    const { service } = await start(t);
    const error = '[[error: 401 authentication_error invalid x-api-key]]';
    const answer = await service.post('/openai/v1/chat/completions', ask(error));
    assert.equal(answer.status, 503);
    assert.match(await answer.text(), /"not_signed_in"/);
  });

  test('job that edits', async (t) => {
    const { service } = await startOnRepository(t, { 'b.txt': 'one\n' });
    const write = `[[tool: Write ${JSON.stringify({ file_path: 'b.txt', content: 'two\n' })}]]`;
    const id = await execute(service, { prompt: `[[tool: Read {"file_path":"b.txt"}]] ${write} [[say: done]]` });
    assert.equal((await ended(service, id)).status, 'completed');
    assert.match(await (await service.get(`/jobs/${id}/diff`)).text(), /-one\n\+two/);
  });

  test('CLAUDE.md', async (t) => {
    const { say, model } = await startOnRepository(t, { 'CLAUDE.md': 'PROJECT-RULE\n' });
    for (const api of ['/v1', '/openai/v1']) {
      await say('hello', {}, api);
      assert.match(everything(model.asked().slice(-1)), /PROJECT-RULE/, api);
    }
  });

  test('configuration of a repository has no effect', async (t) => {
    const fired = join(await scratchFolder(t), 'fired');
    const hook = [{ hooks: [{ type: 'command', command: `touch ${fired}` }] }];
    const hooks = { SessionStart: hook, UserPromptSubmit: hook, Stop: hook };
    const env = { ANTHROPIC_BASE_URL: 'http://127.0.0.1:9' };
    const { say } = await startOnRepository(
      t,
      { '.claude/settings.json': JSON.stringify({ hooks, env, apiKeyHelper: `touch ${fired}` }) },
      { SANDBOX: 'off' },
    );
    for (const api of ['/v1', '/openai/v1']) assert.equal(await say('[[say: safe]]', {}, api), 'safe');
    assert.throws(() => readFileSync(fired), { code: 'ENOENT' });
  });

  test('background task', async (t) => {
    const { say, model } = await start(t, { AGENT_ACCESS: 'full', RESET_AGENTS: 'on', ...unsealed });
    for (const api of ['/v1', '/openai/v1']) {
      const task = '[[tool: Bash {"command":"sleep 0.3","run_in_background":true}]]';
      assert.equal(await say(`${task} [[say: REAL]]`, {}, api), 'REAL');
    }
    await waitUntil('no process is left', async () => (await agents()).length === 0);
    const asked = model.asked().length;
    assert.equal(await say('[[say: NEXT]]'), 'NEXT');
    assert.equal(model.asked().length, asked + 1);
  });

  test('refused tool', async (t) => {
    const { service } = await startOnRepository(t, { 'b.txt': 'one\n' }, { AGENT_ACCESS: 'read' });
    const write = `[[tool: Write ${JSON.stringify({ file_path: 'new.txt', content: 'x' })}]]`;
    const id = await execute(service, { prompt: `${write} [[say: done]]` });
    const job = await ended(service, id);
    assert.equal(job.status, 'completed');
    assert.deepEqual(job.workspace?.files, []);
  });

  test('unknown agent definition', async (t) => {
    const { service } = await start(t);
    const job = await ended(service, await execute(service, { prompt: 'hello', agent: 'no-such-agent' }));
    assert.equal(job.status, 'failed');
    assert.match(job.error?.message ?? '', /no-such-agent/);
  });
});

test('the version of the command is found', { skip: underTest === undefined }, async () => {
  const { findVersion } = await import('../../src/agents/cli-version.ts');
  assert.equal((await findVersion(underTest ?? '', hostEnvironment())).state, 'supported');
});
