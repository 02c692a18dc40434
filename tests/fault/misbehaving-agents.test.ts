/** Agents that misbehave: the answer is correct, no process is left, and the next request is served. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { processesOf, startServerProcess } from '../support/server-process.ts';
import { ask, faultAgent, startTestService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

type Expectation = {
  agent: string;
  title: string;
  status: number;
  /** The time limit of the run, if it is to be reached. */
  limitSeconds?: number;
  /** The text of the answer, or the detail of the error. */
  says: RegExp | string;
};

const expectations: Expectation[] = [
  {
    agent: 'hangs',
    title: 'hangs',
    status: 503,
    limitSeconds: 1.5,
    says: 'The agent was stopped after 1.5 s: the time limit of the run',
  },
  { agent: 'ignores-sigterm', title: 'ignores SIGTERM', status: 503, limitSeconds: 1.5, says: /time limit of the run/ },
  {
    agent: 'hangs-with-grandchild',
    title: 'hangs and has a grandchild that left its group',
    status: 503,
    limitSeconds: 1.5,
    says: /time limit/,
  },
  {
    agent: 'leaves-grandchild',
    title: 'leaves a grandchild that holds the pipe',
    status: 200,
    says: 'done, with a child left behind',
  },
  {
    agent: 'dies-mid-line',
    title: 'is killed in the middle of a line',
    status: 503,
    says: 'claude was ended by SIGKILL before it gave a result',
  },
  { agent: 'floods', title: 'floods its output', status: 503, says: /^The agent printed more than \d+ bytes/ },
  {
    agent: 'long-line',
    title: 'prints a line of 50 MB',
    status: 503,
    says: /^The agent printed a line of more than \d+ bytes$/,
  },
  { agent: 'half-a-character', title: 'cuts a UTF-8 character in two writes', status: 200, says: '10 €' },
  { agent: 'result-then-hangs', title: 'prints its result and never exits', status: 200, says: 'done, but still here' },
  {
    agent: 'stderr-only',
    title: 'writes the reason of its failure to standard error',
    status: 503,
    says: /^boom: the disk at \[path\] is full/,
  },
  {
    agent: 'says-nothing',
    title: 'exits with 0 and prints nothing',
    status: 503,
    says: 'claude exited with status 0 and printed nothing',
  },
  { agent: 'unknown-events', title: 'sends messages of unknown types', status: 200, says: 'known all the same' },
];

async function startWith(t: TestContext, agent: string, limitSeconds = 120) {
  return startTestService(t, {
    CLAUDE_BIN: faultAgent(agent),
    MAX_CONCURRENT_RUNS: '1',
    CHAT_TIMEOUT_SECONDS: String(limitSeconds),
  });
}

/** Waits until no process with the marker of this server runs. */
async function nothingRuns(): Promise<void> {
  await waitUntil('every process of the agents has ended', async () => {
    return (await processesOf(process.pid)).length === 0;
  });
}

describe('an agent that', () => {
  for (const { agent, title, status, limitSeconds, says } of expectations) {
    test(title, async (t) => {
      const service = await startWith(t, agent, limitSeconds);
      const first = await service.post('/v1/chat/completions', ask('hi'));
      const body = (await first.json()) as {
        error?: string;
        detail?: string;
        choices?: { message: { content: string } }[];
      };
      const text = status === 200 ? body.choices?.[0]?.message.content : body.detail;
      assert.equal(first.status, status, JSON.stringify(body));
      if (typeof says === 'string') assert.equal(text, says);
      else assert.match(String(text), says);
      await nothingRuns();

      const next = await service.post('/v1/chat/completions', ask('hi again'));
      assert.equal(next.status, status, 'the next request is served');
      await nothingRuns();
    });
  }
});

test('when a client gives up, its agent ends and its slot is released', async (t) => {
  const service = await startTestService(t, {
    CLAUDE_BIN: faultAgent('hangs-with-grandchild'),
    MAX_CONCURRENT_RUNS: '1',
  });
  for (const api of ['/v1', '/openai/v1']) {
    const client = new AbortController();
    const answer = service.post(`${api}/chat/completions`, ask('hi'), {}, client.signal);
    const activeRuns = async () => ((await (await service.get('/health')).json()) as { active: number }).active;
    await waitUntil('the agent runs', async () => (await activeRuns()) === 1);
    client.abort();
    await assert.rejects(answer);
    await waitUntil('the slot is free', async () => (await activeRuns()) === 0);
    await nothingRuns();
  }
});

test('the log names an agent that was ended with SIGKILL, and not one that ended on SIGTERM', async (t) => {
  for (const [agent, forced] of [
    ['ignores-sigterm', true],
    ['hangs', false],
  ] as const) {
    const settings = { CLAUDE_BIN: faultAgent(agent), SANDBOX: 'off', CHAT_TIMEOUT_SECONDS: '0.5', LOG_LEVEL: 'warn' };
    const server = await startServerProcess(t, settings);
    assert.equal((await server.post('/v1/chat/completions', ask('hi'))).status, 503);
    assert.equal(/"run":"chatcmpl-[^}]*ended with SIGKILL/.test(server.stderr()), forced, server.stderr());
  }
});

test('closing the server ends every agent', async (t) => {
  const service = await startTestService(t, { CLAUDE_BIN: faultAgent('hangs-with-grandchild') });
  const answer = service.post('/v1/chat/completions', ask('hi'));
  await waitUntil(
    'the agent runs',
    async () => ((await (await service.get('/health')).json()) as { active: number }).active === 1,
  );
  await service.close(0);
  const body = (await (await answer).json()) as { error: string; detail: string };
  assert.deepEqual(body, { error: 'execution failed', detail: 'Cannot finish the run: the server is stopping' });
  await nothingRuns();
});
