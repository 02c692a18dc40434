/** Agents that are kept between turns, on the real CLI: what may continue, what may be cleared, and what must not. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { createAgents } from '../../src/agent/agents.ts';
import { ServiceError } from '../../src/errors.ts';
import { listMarked } from '../../src/process-tree.ts';
import type { AgentEvent, Task, Turn } from '../../src/task.ts';
import { createSeats, type SeatSettings, type Start } from '../../src/warm/seats.ts';
import { createWorkspaces, type WorkspaceSettings } from '../../src/workspace/create.ts';
import { makeClone, makeSandbox } from '../support/git-repositories.ts';
import { loopbackAgent, scratchFolder } from '../support/loopback-agent.ts';
import { waitUntil } from '../support/wait-until.ts';

type Overrides = { spares?: Partial<SeatSettings['spares']>; resting?: Partial<SeatSettings['resting']> };

async function startSeats(t: TestContext, overrides: Overrides = {}, workspace: Partial<WorkspaceSettings> = {}) {
  const { model, environment, claudeBin } = await loopbackAgent(t);
  const dataDir = await scratchFolder(t);
  let identity = claudeBin;
  const agents = createAgents({
    findClaude: () => identity,
    access: 'edit',
    containment: { kind: 'none' },
    environment,
    extraEnvironment: [],
    temporaryFolder: dataDir,
    markerOf: (id) => `kept-agents-test:${dataDir}:${process.pid}:${id}`,
    onUnknown: () => {},
  });
  const workspaces = await createWorkspaces({
    workspaceDir: undefined,
    workspaceMode: 'auto',
    gitSync: 'off',
    gitSyncTimeoutMs: 1000,
    dataDir,
    environment,
    ...workspace,
  });
  const failures: unknown[] = [];
  const seats = createSeats(
    { workspaces, agents },
    {
      spares: {
        count: 0,
        first: { budgetUsd: 2 },
        model: 'sonnet',
        maxAgeMs: 60_000,
        idleMs: 60_000,
        onFailed: (error) => failures.push(error),
        ...overrides.spares,
      },
      resting: { count: 2, restMs: 60_000, recycle: true, maxTurns: 20, ...overrides.resting },
    },
  );
  t.after(async () => {
    await seats.destroy();
    await agents.destroy();
    await workspaces.close();
  });

  /** Runs a task as `run-task.ts` does; answers how its agent came to be, and its text. */
  const run = async (
    task: Task,
    signal = new AbortController().signal,
  ): Promise<{ start: Start; text: string; told: string }> => {
    const seat = await seats.take(task, signal);
    let told = '';
    const onEvent = (event: AgentEvent) => {
      if (event.type === 'text') told += event.text;
    };
    try {
      const outcome = await seat.run(task, { signal, onEvent });
      return { start: seat.start, text: outcome.text, told };
    } finally {
      await seat.release();
    }
  };
  const replaceClaude = (path: string) => {
    identity = path;
  };
  /** The living processes of all agents, waiting ones included. */
  const processes = () => listMarked((marker) => marker.startsWith(`kept-agents-test:${dataDir}:`));
  const lastRequest = () => JSON.stringify(model.asked().at(-1));
  return { model, run, failures, replaceClaude, processes, lastRequest };
}

let tasks = 0;

function chat(words: string[], more: Partial<Task> = {}): Task {
  tasks += 1;
  const turns: Turn[] = words.map((text, at) => ({
    role: at % 2 === 0 ? 'user' : 'assistant',
    blocks: [{ type: 'text', text }],
  }));
  return {
    id: `run_${tasks}`,
    kind: 'chat',
    owner: 'alice',
    model: 'sonnet',
    launch: 'session',
    turns,
    limits: { runMs: 20_000, stallMs: 0, budgetUsd: 2 },
    ...more,
  };
}

describe('a conversation', () => {
  test('continues in its process, which is told the new turn only', async (t) => {
    const { run, model, lastRequest } = await startSeats(t);
    assert.deepEqual(await run(chat(['one [[say: first answer]]'])), {
      start: 'cold',
      text: 'first answer',
      told: 'first answer',
    });
    const next = await run(chat(['one [[say: first answer]]', 'first answer', 'two [[say: second answer]]']));
    assert.deepEqual(next, { start: 'continued', text: 'second answer', told: 'second answer' });
    const roles = model
      .asked()
      .at(-1)
      ?.messages.map(({ role }) => role)
      .filter((role) => role !== 'system');
    assert.deepEqual(roles, ['user', 'assistant', 'user']);
    assert.equal(lastRequest().split('one [[say').length, 2, 'the first question is there once');
  });

  test('that was changed by its client is replayed in another process', async (t) => {
    const { run, lastRequest } = await startSeats(t, { resting: { recycle: false } });
    await run(chat(['one [[say: first answer]]']));
    const next = await run(chat(['one [[say: first answer]]', 'an edited answer', 'two']));
    assert.equal(next.start, 'cold');
    assert.match(lastRequest(), /an edited answer/);
    assert.doesNotMatch(lastRequest(), /"first answer"/);
  });

  test('of another key is never continued', async (t) => {
    const { run } = await startSeats(t);
    await run(chat(['one [[say: answer]]']));
    const next = await run(chat(['one [[say: answer]]', 'answer', 'two'], { owner: 'mallory' }));
    assert.equal(next.start, 'cold');
  });

  test('for another model, system prompt or schema is not continued', async (t) => {
    const { run } = await startSeats(t, { resting: { recycle: false, count: 10 } });
    const history = ['one [[say: answer]]', 'answer', 'two'];
    await run(chat(history.slice(0, 1)));
    assert.equal((await run(chat(history, { model: 'haiku' }))).start, 'cold');
    assert.equal((await run(chat(history, { system: 'You are a pirate.' }))).start, 'cold');
  });
});

describe('a process that is cleared', () => {
  test('serves a new conversation of the same key, and nothing of the old one reaches the model', async (t) => {
    const { run, lastRequest } = await startSeats(t);
    await run(chat(['the SECRET-QUESTION [[say: the SECRET-ANSWER]]'], { system: 'SYSTEM-OF-BOTH' }));
    const next = await run(chat(['something else [[say: fine]]'], { system: 'SYSTEM-OF-BOTH' }));
    assert.equal(next.start, 'recycled');
    assert.match(lastRequest(), /SYSTEM-OF-BOTH/);
    assert.doesNotMatch(lastRequest(), /SECRET/);
  });

  test('does not keep the effort that an earlier request asked for', async (t) => {
    const { run, lastRequest } = await startSeats(t);
    await run(chat(['one [[say: a]]']));
    const ordinary = /"effort":"(\w+)"/.exec(lastRequest())?.[1];
    await run(chat(['two [[say: a]]'], { effort: ordinary === 'low' ? 'high' : 'low' }));
    assert.notEqual(/"effort":"(\w+)"/.exec(lastRequest())?.[1], ordinary);
    assert.equal((await run(chat(['three [[say: a]]']))).start, 'recycled');
    assert.equal(/"effort":"(\w+)"/.exec(lastRequest())?.[1], ordinary);
  });

  test('never serves another key, another system prompt or a job', async (t) => {
    const { run } = await startSeats(t, { resting: { count: 10 } });
    await run(chat(['one [[say: a]]'], { system: 'ONE' }));
    assert.equal((await run(chat(['x'], { owner: 'mallory', system: 'ONE' }))).start, 'cold');
    assert.equal((await run(chat(['x'], { system: 'TWO' }))).start, 'cold');
    assert.equal((await run(chat(['x'], { system: 'ONE', kind: 'job' }))).start, 'cold');
  });

  test('has used no tool', async (t) => {
    const { run } = await startSeats(t);
    await run(chat(['[[tool: Bash {"command":"true"}]] [[say: done]]']));
    assert.equal((await run(chat(['next']))).start, 'cold');
  });

  test('has not failed, and was not cancelled', async (t) => {
    const { run } = await startSeats(t);
    await assert.rejects(run(chat(['[[error: 400 invalid_request_error no]]'])));
    assert.equal((await run(chat(['next'], { owner: 'bob' }))).start, 'cold');
    const client = new AbortController();
    const going = run(chat(['[[stall]]']), client.signal);
    setTimeout(() => client.abort(new ServiceError('client_gone', 'The client has gone')), 300);
    await assert.rejects(going, { code: 'client_gone' });
    assert.equal((await run(chat(['next']))).start, 'cold');
  });

  test('is not used again after its last turn', async (t) => {
    const { run } = await startSeats(t, { resting: { maxTurns: 2 } });
    const starts = [];
    for (let turn = 0; turn < 3; turn += 1) starts.push((await run(chat([`${turn} [[say: a]]`]))).start);
    assert.deepEqual(starts, ['cold', 'recycled', 'cold']);
  });
});

describe('an agent whose workspace cannot be had any more', () => {
  for (const kept of ['rests', 'waits']) {
    test(`ends, and does not go on for nobody (it ${kept})`, async (t) => {
      const sandbox = makeSandbox();
      t.after(() => sandbox.remove());
      const { clone, remote } = makeClone(sandbox);
      const counts = kept === 'rests' ? { spares: { count: 0 } } : { spares: { count: 1 }, resting: { count: 0 } };
      const { run, processes } = await startSeats(t, counts, {
        workspaceDir: clone,
        workspaceMode: 'shared',
        gitSync: 'required',
      });
      if (kept === 'rests') await run(chat(['one [[say: a]]']));
      const before = await waitUntil('it is there', async () => {
        const found = await processes();
        return found.length > 0 && found;
      });
      rmSync(remote, { recursive: true });
      await assert.rejects(run(chat(['one [[say: a]]', 'a', 'two'])), {
        code: 'workspace_unavailable',
      });
      const left = await processes();
      assert.deepEqual(
        before.filter((pid) => left.includes(pid)),
        [],
      );
    });
  }
});

describe('a spare', () => {
  test('is there for the first request and the next one, for every model', async (t) => {
    const { run, lastRequest } = await startSeats(t, { spares: { count: 1 }, resting: { count: 0 } });
    assert.equal((await run(chat(['one [[say: a]]'], { model: 'haiku', system: 'SYS' }))).start, 'warm');
    assert.match(lastRequest(), /"model":"claude-haiku/);
    assert.match(lastRequest(), /SYS/);
    assert.equal((await run(chat(['two [[say: a]]'], { model: 'opus' }))).start, 'warm');
    assert.match(lastRequest(), /"model":"claude-opus/);
  });

  test('of another agent or budget is not used, and the next one is started for what was asked', async (t) => {
    const { run } = await startSeats(t, { spares: { count: 1 }, resting: { count: 0 } });
    const limits = { runMs: 20_000, stallMs: 0, budgetUsd: 5 };
    assert.equal((await run(chat(['one [[say: a]]'], { limits, kind: 'job' }))).start, 'cold');
    assert.equal((await run(chat(['two [[say: a]]'], { limits, kind: 'job' }))).start, 'warm');
  });

  test('of a command that was replaced is not used', async (t) => {
    const { run, replaceClaude } = await startSeats(t, { spares: { count: 1 }, resting: { count: 0 } });
    await run(chat(['one [[say: a]]']));
    replaceClaude('/nowhere/claude');
    await assert.rejects(run(chat(['two'])), { code: 'agent_not_started' });
  });

  test('that cannot be started is told of, and a run then shows the cause', async (t) => {
    const { run, replaceClaude, failures } = await startSeats(t, { resting: { count: 0 }, spares: { count: 1 } });
    replaceClaude('/bin/false');
    await run(chat(['one [[say: a]]'])).catch(() => {});
    await assert.rejects(run(chat(['two'])), { code: 'agent_failed' });
    assert.ok(failures.length <= 5, 'it does not go on trying without end');
  });

  test('that dies while it waits is replaced, and told of', async (t) => {
    const { run, processes, failures } = await startSeats(t, { spares: { count: 1 }, resting: { count: 0 } });
    const [first = 0] = await waitUntil('a spare waits', async () => {
      const found = await processes();
      return found.length > 0 && found;
    });
    process.kill(first, 'SIGKILL');
    await waitUntil('another waits', async () => {
      const found = await processes();
      return found.length > 0 && !found.includes(first);
    });
    assert.equal(failures.length, 1);
    assert.equal((await run(chat(['one [[say: a]]']))).start, 'warm');
  });

  test('is not kept when nobody asks for long, and is there again after somebody did', async (t) => {
    const { run, processes } = await startSeats(t, { spares: { count: 1, idleMs: 500 }, resting: { count: 0 } });
    await waitUntil('a spare waits', async () => (await processes()).length > 0);
    await waitUntil('none is left', async () => (await processes()).length === 0);
    assert.equal((await run(chat(['one [[say: a]]']))).start, 'cold');
  });

  test('that is too old is replaced', async (t) => {
    const { processes } = await startSeats(t, { spares: { count: 1, maxAgeMs: 300 }, resting: { count: 0 } });
    const [first = 0] = await waitUntil('a spare waits', async () => {
      const found = await processes();
      return found.length > 0 && found;
    });
    await waitUntil('a younger one waits', async () => {
      const found = await processes();
      return found.length > 0 && !found.includes(first);
    });
  });
});
