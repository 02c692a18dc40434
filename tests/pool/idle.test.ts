/** Agents that are kept between turns, on the real CLI: what may continue, what may be cleared, and what must not. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ServiceError } from '../../src/errors.ts';
import { containment, hasBubblewrap } from '../support/bubblewrap.ts';
import { makeClone, makeSandbox } from '../support/git-repositories.ts';
import { chat, startSeats } from '../support/pool.ts';
import { waitUntil } from '../support/wait-until.ts';

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

  test('continues after a command that has ended, and not after one that left something running', async (t) => {
    const { run, processes } = await startSeats(t, {
      access: 'full',
      containment,
      resting: { recycle: false, count: 10 },
    });
    const follow = async (first: string, answer: string) => {
      await run(chat([first]));
      return run(chat([first, answer, '[[say: next]]']));
    };
    const bash = (command: string) => `[[tool: Bash ${JSON.stringify({ command })}]] [[say: ${command.length}]]`;
    for (const [command, start] of [
      ['true', 'continued'],
      ['(setsid sleep 300 > /dev/null 2>&1 &); true', 'cold'],
      // Without a sandbox such a process is not found: it carries no mark and has no parent of ours.
      ...(hasBubblewrap ? ([['(env -i setsid sleep 300 > /dev/null 2>&1 &); true', 'cold']] as const) : []),
    ] as const) {
      assert.equal((await follow(bash(command), String(command.length))).start, start, command);
    }
    for (const tool of [
      'Bash {"command":"sleep 300","run_in_background":true}',
      'ScheduleWakeup {"delaySeconds":60,"prompt":"wake up","reason":"to go on"}',
      'a-tool-of-a-later-version {}',
    ]) {
      assert.equal((await follow(`[[tool: ${tool}]] [[say: b]]`, 'b')).start, 'cold', tool);
    }
    assert.ok((await processes()).length > 0, 'the agents of the follow-ups rest');
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

  test('is cleared ahead where conversations are not followed up, and not where they are', async (t) => {
    const { run, lastRequest, model } = await startSeats(t);
    const question = (at: number) => chat([`question ${at} of SECRET [[say: a]]`]);
    for (const at of [1, 2, 3]) await run(question(at));
    const asked = model.asked().length;
    const late = await run(chat(['question 3 of SECRET [[say: a]]', 'a', 'what of it? [[say: b]]']));
    assert.equal(late.start, 'recycled', 'its conversation was gone, and is replayed');
    assert.equal(model.asked().length, asked + 1);
    assert.equal(lastRequest().split('SECRET').length, 2);
    const follow = ['question 3 of SECRET [[say: a]]', 'a', 'what of it? [[say: b]]', 'b', 'and then?'];
    assert.equal((await run(chat(follow))).start, 'continued');
    assert.equal((await run(question(5))).start, 'recycled');
    assert.equal((await run(chat(['question 5 of SECRET [[say: a]]', 'a', 'why?']))).start, 'continued');
  });

  test('ends when it cannot be cleared, ahead or for a request', async (t) => {
    const { run, replaceClaude, processes } = await startSeats(t);
    // Its session is the same for life.
    replaceClaude(fileURLToPath(new URL('../support/agents/scripted', import.meta.url)));
    for (const at of [1, 2, 3]) assert.equal((await run(chat([`question ${at}`]))).start, 'cold');
    await waitUntil('the last one has ended', async () => (await processes()).length === 0);
    assert.equal((await run(chat(['question 4']))).start, 'cold');
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
