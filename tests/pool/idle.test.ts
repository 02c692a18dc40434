/** Idle agents of the real CLI: which runs may continue their conversation, which may reset them, and which must not. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ServiceError } from '../../src/errors.ts';
import { containment, hasBubblewrap } from '../support/bubblewrap.ts';
import { makeClone, makeSandbox } from '../support/git-repositories.ts';
import { chat, startPool } from '../support/pool.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('a conversation', () => {
  test('continues in its process, which gets only the new message', async (t) => {
    const { run, model, lastRequest } = await startPool(t);
    assert.deepEqual(await run(chat(['one [[say: first answer]]'])), {
      start: 'new',
      text: 'first answer',
      streamed: 'first answer',
    });
    const next = await run(chat(['one [[say: first answer]]', 'first answer', 'two [[say: second answer]]']));
    assert.deepEqual(next, { start: 'continued', text: 'second answer', streamed: 'second answer' });
    const roles = model
      .asked()
      .at(-1)
      ?.messages.map(({ role }) => role)
      .filter((role) => role !== 'system');
    assert.deepEqual(roles, ['user', 'assistant', 'user']);
    assert.equal(lastRequest().split('one [[say').length, 2, 'the first question is there once');
  });

  test('continues after a command that has ended, and not after one that left something running', async (t) => {
    const { run, processes } = await startPool(t, {
      access: 'full',
      containment,
      idle: { reset: false, count: 10 },
    });
    const follow = async (first: string, answer: string) => {
      await run(chat([first]));
      return run(chat([first, answer, '[[say: next]]']));
    };
    const bash = (command: string) => `[[tool: Bash ${JSON.stringify({ command })}]] [[say: ${command.length}]]`;
    for (const [command, start] of [
      ['true', 'continued'],
      ['(setsid sleep 300 > /dev/null 2>&1 &); true', 'new'],
      // Without a sandbox such a process is not found: it has no marker, and its parent is none of ours.
      ...(hasBubblewrap ? ([['(env -i setsid sleep 300 > /dev/null 2>&1 &); true', 'new']] as const) : []),
    ] as const) {
      assert.equal((await follow(bash(command), String(command.length))).start, start, command);
    }
    for (const tool of [
      'Bash {"command":"sleep 300","run_in_background":true}',
      'ScheduleWakeup {"delaySeconds":60,"prompt":"wake up","reason":"to go on"}',
      'a-tool-of-a-later-version {}',
    ]) {
      assert.equal((await follow(`[[tool: ${tool}]] [[say: b]]`, 'b')).start, 'new', tool);
    }
    assert.ok((await processes()).length > 0, 'the agents of the follow-ups are idle');
  });

  test('that its client has changed is replayed in another process', async (t) => {
    const { run, lastRequest } = await startPool(t, { idle: { reset: false } });
    await run(chat(['one [[say: first answer]]']));
    const next = await run(chat(['one [[say: first answer]]', 'an edited answer', 'two']));
    assert.equal(next.start, 'new');
    assert.match(lastRequest(), /an edited answer/);
    assert.doesNotMatch(lastRequest(), /"first answer"/);
  });

  test('of one key is never continued by another key', async (t) => {
    const { run } = await startPool(t);
    await run(chat(['one [[say: answer]]']));
    const next = await run(chat(['one [[say: answer]]', 'answer', 'two'], { owner: 'mallory' }));
    assert.equal(next.start, 'new');
  });

  test('is not continued with another model or system prompt', async (t) => {
    const { run } = await startPool(t, { idle: { reset: false, count: 10 } });
    const history = ['one [[say: answer]]', 'answer', 'two'];
    await run(chat(history.slice(0, 1)));
    assert.equal((await run(chat(history, { model: 'haiku' }))).start, 'new');
    assert.equal((await run(chat(history, { system: 'You are a pirate.' }))).start, 'new');
  });
});

describe('an agent that is reset', () => {
  test('serves a new conversation of the same key, and nothing of the old one reaches the model', async (t) => {
    const { run, lastRequest } = await startPool(t);
    await run(chat(['the SECRET-QUESTION [[say: the SECRET-ANSWER]]'], { system: 'SYSTEM-OF-BOTH' }));
    const next = await run(chat(['something else [[say: fine]]'], { system: 'SYSTEM-OF-BOTH' }));
    assert.equal(next.start, 'reset');
    assert.match(lastRequest(), /SYSTEM-OF-BOTH/);
    assert.doesNotMatch(lastRequest(), /SECRET/);
  });

  test('is reset ahead where conversations are not followed up, and not where they are', async (t) => {
    const { run, lastRequest, model } = await startPool(t);
    const question = (at: number) => chat([`question ${at} of SECRET [[say: a]]`]);
    for (const at of [1, 2, 3]) await run(question(at));
    const asked = model.asked().length;
    const late = await run(chat(['question 3 of SECRET [[say: a]]', 'a', 'what of it? [[say: b]]']));
    assert.equal(late.start, 'reset', 'its conversation was emptied, and is replayed');
    assert.equal(model.asked().length, asked + 1);
    assert.equal(lastRequest().split('SECRET').length, 2);
    const follow = ['question 3 of SECRET [[say: a]]', 'a', 'what of it? [[say: b]]', 'b', 'and then?'];
    assert.equal((await run(chat(follow))).start, 'continued');
    assert.equal((await run(question(5))).start, 'reset');
    assert.equal((await run(chat(['question 5 of SECRET [[say: a]]', 'a', 'why?']))).start, 'continued');
  });

  test('ends when the reset fails, ahead of a request or for one', async (t) => {
    const { run, replaceClaude, processes } = await startPool(t);
    // This one never begins a new session.
    replaceClaude(fileURLToPath(new URL('../support/agents/scripted', import.meta.url)));
    for (const at of [1, 2, 3]) assert.equal((await run(chat([`question ${at}`]))).start, 'new');
    await waitUntil('the last one has ended', async () => (await processes()).length === 0);
    assert.equal((await run(chat(['question 4']))).start, 'new');
  });

  test('does not keep the effort that an earlier request asked for', async (t) => {
    const { run, lastRequest } = await startPool(t);
    await run(chat(['one [[say: a]]']));
    const ordinary = /"effort":"(\w+)"/.exec(lastRequest())?.[1];
    await run(chat(['two [[say: a]]'], { effort: ordinary === 'low' ? 'high' : 'low' }));
    assert.notEqual(/"effort":"(\w+)"/.exec(lastRequest())?.[1], ordinary);
    assert.equal((await run(chat(['three [[say: a]]']))).start, 'reset');
    assert.equal(/"effort":"(\w+)"/.exec(lastRequest())?.[1], ordinary);
  });

  test('never serves another key, another system prompt, or a run that is not kept', async (t) => {
    const { run } = await startPool(t, { idle: { count: 10 } });
    await run(chat(['one [[say: a]]'], { system: 'ONE' }));
    assert.equal((await run(chat(['x'], { owner: 'mallory', system: 'ONE' }))).start, 'new');
    assert.equal((await run(chat(['x'], { system: 'TWO' }))).start, 'new');
    assert.equal((await run(chat(['x'], { system: 'ONE', reuse: 'prewarmed' }))).start, 'new');
  });

  test('serves no run that wants a process of its own', async (t) => {
    const { run } = await startPool(t);
    await run(chat(['one [[say: a]]']));
    assert.equal((await run(chat(['x'], { reuse: 'none' }))).start, 'new');
  });

  test('has used no tool', async (t) => {
    const { run } = await startPool(t);
    await run(chat(['[[tool: Bash {"command":"true"}]] [[say: done]]']));
    assert.equal((await run(chat(['next']))).start, 'new');
  });

  test('has served no run that failed or was cancelled', async (t) => {
    const { run, model } = await startPool(t);
    await assert.rejects(run(chat(['[[error: 400 invalid_request_error no]]'])));
    assert.equal((await run(chat(['next'], { owner: 'bob' }))).start, 'new');
    const client = new AbortController();
    const asked = model.asked().length;
    const going = assert.rejects(run(chat(['[[stall]]']), client.signal), { code: 'client_gone' });
    await waitUntil('the model is asked', () => model.asked().length > asked);
    client.abort(new ServiceError('client_gone', 'The client has gone'));
    await going;
    assert.equal((await run(chat(['next']))).start, 'new');
  });

  test('serves no more than its maximum of turns', async (t) => {
    const { run } = await startPool(t, { idle: { maxTurns: 2 } });
    const starts = [];
    for (let turn = 0; turn < 3; turn += 1) starts.push((await run(chat([`${turn} [[say: a]]`]))).start);
    assert.deepEqual(starts, ['new', 'reset', 'new']);
  });
});

describe('an agent that a run will not reuse', () => {
  for (const [reuse, name] of [
    ['none', 'of a process of its own'],
    ['prewarmed', 'that nobody follows up'],
  ] as const) {
    test(`is not kept after a run ${name}, and ends no idle agent`, async (t) => {
      const { run, processes } = await startPool(t, { idle: { count: 1 } });
      await run(chat(['one [[say: a]]']));
      const idle = await processes();
      // A schema makes the run go over stdin.
      const outputSchema = { type: 'object', properties: { city: { type: 'string' } } };
      await run(chat(['two [[json: {"city":"Rome"}]]'], { reuse, outputSchema }));
      assert.deepEqual(await processes(), idle);
      assert.equal((await run(chat(['one [[say: a]]', 'a', 'three [[say: b]]']))).start, 'continued');
    });
  }
});

describe('an agent whose workspace cannot be leased any more', () => {
  for (const kind of ['idle', 'prewarmed']) {
    test(`ends (${kind})`, async (t) => {
      const sandbox = makeSandbox();
      t.after(() => sandbox.remove());
      const { clone, remote } = makeClone(sandbox);
      const counts = kind === 'idle' ? { prewarmed: { count: 0 } } : { prewarmed: { count: 1 }, idle: { count: 0 } };
      const { run, processes } = await startPool(t, counts, {
        workspaceDir: clone,
        workspaceMode: 'shared',
        gitSync: 'required',
      });
      if (kind === 'idle') await run(chat(['one [[say: a]]']));
      const before = await waitUntil('it has started', async () => {
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
