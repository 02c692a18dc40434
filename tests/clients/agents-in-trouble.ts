/** What a published client makes of agents that fail, take long or are busy. Counted are agents that start. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { recordTraffic, type Traffic } from '../support/client-traffic.ts';
import { askFor, type Script, type ScriptedService, startScriptedService } from '../support/scripted-agent.ts';
import { waitUntil } from '../support/wait-until.ts';
import { apis, connectionTo, type PublishedClient, says } from './client.ts';

/** One that asks for longer than a test may take has shown by its third request that no second agent starts. */
const enoughRequests = 3;

type Cases = Record<string, () => Promise<void>>;

export async function agentsInTrouble(t: TestContext, client: PublishedClient): Promise<void> {
  const traffic = recordTraffic();
  const servers = {
    wide: await startScriptedService(t, { MAX_CONCURRENT_RUNS: '32', IDLE_AGENTS: '0' }),
    narrow: await startScriptedService(t, { MAX_CONCURRENT_RUNS: '1' }),
    hasty: await startScriptedService(t, { JSON_ANSWER_SECONDS: '1.5' }),
  };
  const bench = { t, client, traffic, servers, newQuestion: questions(Object.values(servers), traffic) };
  const cases = { ...atEachDoor(bench), ...inStreams(bench), ...withLimits(bench) };
  await Promise.all(Object.entries(cases).map(([name, run]) => t.test(name, run)));
  await traffic.assertPublished();
}

type Bench = {
  t: TestContext;
  client: PublishedClient;
  traffic: Traffic;
  servers: Record<'wide' | 'narrow' | 'hasty', ScriptedService>;
  newQuestion: ReturnType<typeof questions>;
};

function atEachDoor(bench: Bench): Cases {
  const { t, client, traffic, servers, newQuestion } = bench;
  const to = connectionTo(servers.wide, traffic);
  const cases: Cases = {};
  for (const api of apis) {
    cases[
      requirement(
        ['item-64', 'item-67'],
        `${api}: a failing agent is started once, however often the client asks again`,
      )
    ] = async () => {
      const question = newQuestion({ exit: 3, stderr: 'boom' });
      const shown = await failureOf(client, question, (signal) => client.ask(to(api), { ...question, signal }));
      t.diagnostic(`${api}, failed: ${question.requests()} requests, ${question.starts()} start: ${shown}`);
      assert.equal(question.requests(), Math.min(client.requestsPerFailure, enoughRequests));
      assert.equal(question.starts(), 1);
    };

    cases[requirement(['item-67'], `${api}: a client that runs out of patience and asks again joins the run`)] =
      async () => {
        const question = newQuestion({ say: ['slow but sure'], pauseMs: 4000 });
        const { text } = await client.ask(to(api), { ...question, timeoutMs: 1500 });
        assert.equal(text, 'slow but sure');
        t.diagnostic(`${api}, out of patience: ${question.requests()} requests, ${question.starts()} start`);
        assert.ok(question.requests() > 1);
        assert.equal(question.starts(), 1);
      };

    cases[requirement(['item-63'], `${api}: an unknown model is refused once`)] = async () => {
      const question = newQuestion({ say: ['no'] });
      await assert.rejects(client.ask(to(api), { ...question, model: 'gpt-4o' }), (error: Error) => {
        t.diagnostic(`${api}, unknown model: ${error.message}`);
        assert.match(error.message, api === '/v1' ? /unsupported model/ : /unsupported model, this server has haiku/);
        return true;
      });
      assert.deepEqual([question.requests(), question.starts()], [1, 0]);
    };

    cases[requirement(['item-100'], `${api}: a wrong key is refused once`)] = async () => {
      const question = newQuestion({ say: ['no'] });
      await assert.rejects(client.ask({ ...to(api), apiKey: 'wrong' }, question));
      assert.deepEqual([question.requests(), question.starts()], [1, 0]);
    };
  }
  return cases;
}

function inStreams({ client, traffic, servers, newQuestion }: Bench): Cases {
  const to = connectionTo(servers.wide, traffic);
  return {
    [requirement(['item-29'], 'an API that does not stream says so once')]: async () => {
      const question = newQuestion({ say: ['no'] });
      const streamed = client.stream(to('/v1'), question, () => {});
      await assert.rejects(streamed, /streaming not supported/);
      assert.deepEqual([question.requests(), question.starts()], [1, 0]);
    },

    [requirement(['item-88', 'item-90'], 'an agent that fails while it speaks is started once')]: async () => {
      const question = newQuestion({ say: ['half'], exit: 3, stderr: 'boom' });
      const pieces: string[] = [];
      const streamed = client.stream(to('/openai/v1'), question, (piece) => pieces.push(piece));
      await assert.rejects(streamed, /boom/);
      assert.equal(pieces.join(''), 'half');
      assert.deepEqual([question.requests(), question.starts()], [1, 1]);
    },

    [requirement(['item-90'], 'a stream begins before a client runs out of patience')]: async () => {
      const question = newQuestion({ say: ['slow but sure'], pauseMs: 5000 });
      const { text } = await client.stream(to('/openai/v1'), { ...question, timeoutMs: 3000 }, () => {});
      assert.equal(text, 'slow but sure');
      assert.deepEqual([question.requests(), question.starts()], [1, 1]);
    },

    [requirement(['item-74'], 'an agent whose reader has left is ended')]: async () => {
      const question = newQuestion({ say: Array.from({ length: 50 }, () => 'on and '), pauseMs: 500 });
      const leaving = new AbortController();
      const toHasty = connectionTo(servers.hasty, traffic);
      const streamed = client.stream(toHasty('/openai/v1'), { ...question, signal: leaving.signal }, () =>
        leaving.abort(),
      );
      await streamed.catch(() => {});
      await waitUntil('its slot is free', async () => (await activeRuns(servers.hasty)) === 0);
      assert.equal(question.starts(), 1);
    },
  };
}

function withLimits({ t, client, traffic, servers, newQuestion }: Bench): Cases {
  return {
    [requirement(['item-39'], 'an answer that misses its format is a failure of one run')]: async () => {
      const to = connectionTo(servers.wide, traffic)('/openai/v1');
      const question = newQuestion({ say: ['Paris, of course.'] });
      await failureOf(client, question, (signal) => client.structured(to, question.text, signal));
      assert.equal(question.starts(), 1);
    },

    [requirement(['item-73'], 'an agent that is silent for too long is started once, and the client told')]:
      async () => {
        const to = connectionTo(servers.hasty, traffic)('/openai/v1');
        const question = newQuestion({ hang: true });
        const shown = await failureOf(client, question, (signal) => client.ask(to, { ...question, signal }));
        if (client.requestsPerFailure <= enoughRequests) assert.match(shown, /no answer after 1.5 s.*stream it/);
        assert.equal(question.starts(), 1);
      },

    [requirement(['item-66'], 'a place that is taken is waited for, by the client or in the queue')]: async () => {
      const to = connectionTo(servers.narrow, traffic);
      const before = servers.narrow.chat('/openai/v1', askFor({ say: ['first'], pauseMs: 1000 }));
      await waitUntil('the slot is taken', async () => (await activeRuns(servers.narrow)) === 1);
      const [refused, queued] = [newQuestion({ say: ['later'] }), newQuestion({ say: ['in turn'] })];
      const answers = await Promise.all([client.ask(to('/v1'), refused), client.ask(to('/openai/v1'), queued)]);
      assert.deepEqual(
        answers.map(({ text }) => text),
        ['later', 'in turn'],
      );
      t.diagnostic(`busy: ${refused.requests()} requests at /v1, ${queued.requests()} at /openai/v1`);
      assert.ok(refused.requests() > 1);
      assert.equal(queued.requests(), 1);
      assert.deepEqual([refused.starts(), queued.starts()], [1, 1]);
      await (await before).text();
    },
  };
}

/** What the client shows of a failure. */
async function failureOf(
  { requestsPerFailure }: PublishedClient,
  question: { requests(): number },
  work: (signal: AbortSignal) => Promise<unknown>,
): Promise<string> {
  const enough = new AbortController();
  const failed = work(enough.signal).then(
    () => assert.fail('it did not fail'),
    (error: Error) => error.message,
  );
  if (requestsPerFailure > enoughRequests) {
    await waitUntil('it has asked often enough', () => question.requests() >= enoughRequests, 20_000);
    enough.abort();
  }
  return failed;
}

/** Makes questions that nobody asked before, so that what belongs to one can be counted while others go on. */
function questions(services: ScriptedService[], traffic: Traffic) {
  let count = 0;
  return (script: Script) => {
    count += 1;
    const text = `Question ${count}. #agent ${JSON.stringify(script)}`;
    const inJson = JSON.stringify(text).slice(1, -1);
    const isOfIt = (value: unknown) => JSON.stringify(value ?? null).includes(inJson);
    return {
      text,
      messages: says(text),
      /** Agents that were started for it, by an argument or over stdin. */
      starts: () => services.flatMap((service) => [...service.starts(), ...service.received()]).filter(isOfIt).length,
      requests: () => traffic.exchanges.filter(({ sent }) => isOfIt(sent)).length,
    };
  };
}

async function activeRuns(service: ScriptedService): Promise<number> {
  return ((await (await service.get('/health')).json()) as { active: number }).active;
}
