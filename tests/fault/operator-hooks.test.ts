/** Hooks of the operator that stop the agent: an error names the kind, and no command of the host reaches a client. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fakeModelAgent } from '../support/fake-model-agent.ts';
import { ask, errorText, startTestService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

type Hooks = Record<string, string>;

/** Starts the server with hooks in the operator's settings: a shell command for each event. */
async function startWith(t: TestContext, hooks: Hooks) {
  const { model, environment, claudeBin, home } = await fakeModelAgent(t);
  const settings = Object.entries(hooks).map(([event, command]) => [
    event,
    [{ hooks: [{ type: 'command', command }] }],
  ]);
  await mkdir(join(home, '.claude'));
  await writeFile(join(home, '.claude', 'settings.json'), JSON.stringify({ hooks: Object.fromEntries(settings) }));
  const service = await startTestService(
    t,
    { CLAUDE_BIN: claudeBin, AGENT_HOME: 'import', AGENT_ACCESS: 'full', SANDBOX: 'off' },
    environment,
  );
  return { service, model };
}

const block = 'echo HOST-WORDS >&2; exit 2';
const stop = `echo '{"continue":false,"stopReason":"HOST-WORDS"}'`;
const script = '[[say: before]] [[tool: Bash {"command":"true"}]] [[say: after]]';

const cases: [what: string, hooks: Hooks, output: string][] = [
  ['a prompt hook that blocks', { UserPromptSubmit: block }, ''],
  ['a prompt hook that ends the turn', { UserPromptSubmit: stop }, ''],
  ['a hook before a tool that ends the turn', { PreToolUse: stop }, 'before'],
  ['a hook after a tool that ends the turn', { PostToolUse: stop }, 'before'],
  ['a Stop hook that always blocks', { Stop: block }, 'beforeafter'],
];

describe('an error names the kind and no words of the host:', () => {
  for (const [what, hooks, output] of cases) {
    test(what, async (t) => {
      const { service, model } = await startWith(t, hooks);
      for (const api of ['/v1', '/openai/v1'] as const) {
        for (const time of ['first', 'second']) {
          const before = model.asked().length;
          const answer = await service.post(`${api}/chat/completions`, ask(script));
          assert.equal(answer.status, 503, `${api}, ${time}`);
          assert.equal(
            await errorText(answer),
            "Cannot finish the run: a hook in the settings of the server's operator stopped the agent",
          );
          if (output !== '') assert.ok(model.asked().length > before, 'a repeat is not answered with the stored error');
        }
      }
      const { job_id } = (await (await service.post('/execute', { prompt: script })).json()) as { job_id: string };
      const job = await waitUntil('the job has ended', async () => {
        const record = (await (await service.get(`/jobs/${job_id}`)).json()) as Record<string, unknown> & {
          status: string;
        };
        return ['queued', 'running'].includes(record.status) ? undefined : record;
      });
      assert.equal((job['error'] as { code: string }).code, 'blocked_by_hook');
      assert.ok(String(job['output']).startsWith(output), `what was said is kept: ${job['output']}`);
      const events = await (await service.get(`/jobs/${job_id}/events`)).text();
      const { prompt: _, ...rest } = job;
      assert.doesNotMatch(JSON.stringify(rest) + events, /HOST-WORDS/);
    });
  }
});

test('a hook that refuses a tool tells its reason, and not its command', async (t) => {
  const { service } = await startWith(t, { PreToolUse: 'echo "not on Fridays" >&2; exit 2' });
  const answer = await service.post('/openai/v1/chat/completions', ask(script, { stream: true }), {
    'x-agent-events': 'tools',
  });
  const text = await answer.text();
  assert.match(text, /failed: PreToolUse:Bash hook error: not on Fridays/);
  assert.doesNotMatch(text, /exit 2/);
});

test('a Stop hook that only asks for more, or ends a turn that is complete, does no harm', async (t) => {
  const once = 'if [ -e once ]; then exit 0; fi; touch once; echo more >&2; exit 2';
  const { service } = await startWith(t, { Stop: once });
  for (const api of ['/v1', '/openai/v1'] as const) {
    const answer = await service.post(`${api}/chat/completions`, ask(`[[say: one]] [[stop: end_turn]] [[say: two]]`));
    const body = (await answer.json()) as { choices: { message: { content: string } }[] };
    assert.match(body.choices[0]?.message.content ?? JSON.stringify(body), /^one\n\n/);
  }
  const { service: other } = await startWith(t, { Stop: stop });
  const answer = await other.post('/openai/v1/chat/completions', ask('[[say: complete]]'));
  assert.match(await answer.text(), /"content":"complete"/);
});
