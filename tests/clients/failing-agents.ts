/** A published client with agents that fail, take long or are busy. The starts of agents are counted. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { recordTraffic, type Traffic } from '../support/client-traffic.ts';
import {
  activeRuns,
  askFor,
  makeGate,
  type Script,
  type ScriptedService,
  startScriptedService,
} from '../support/scripted-agent.ts';
import { waitUntil } from '../support/wait-until.ts';
import { apis, connectionTo, type PublishedClient, says } from './client.ts';

/** Some clients retry for longer than a test may take. By their third request it is clear that no second agent starts. */
const enoughRequests = 3;

type Cases = Record<string, () => Promise<void>>;

/** What the error says. For an error in the words of the native API the AI SDK has it only in `responseBody`. */
function toldBy(error: Error): string {
  const { message, responseBody } = error as Error & { responseBody?: string };
  const cause = error.cause instanceof Error ? toldBy(error.cause) : '';
  return [message, responseBody, cause].join(' ');
}

export async function failingAgents(t: TestContext, client: PublishedClient): Promise<void> {
  const traffic = recordTraffic();
  const servers = {
    wide: await startScriptedService(t, { MAX_CONCURRENT_RUNS: '32', IDLE_AGENTS: '0' }),
    narrow: await startScriptedService(t, { MAX_CONCURRENT_RUNS: '1' }),
    hasty: await startScriptedService(t, { JSON_ANSWER_SECONDS: '1.5' }),
  };
  const bench = { t, client, traffic, servers, newQuestion: questions(Object.values(servers), traffic) };
  const cases = { ...atEachApi(bench), ...inStreams(bench), ...withLimits(bench) };
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

function atEachApi(bench: Bench): Cases {
  const { t, client, traffic, servers, newQuestion } = bench;
  const to = connectionTo(servers.wide, traffic);
  const cases: Cases = {};
  for (const api of apis) {
    cases[
      requirement(['item-64', 'item-67'], `${api}: a failing agent is started once, however often the client retries`)
    ] = async () => {
      const question = newQuestion({ exit: 3, stderr: 'boom' });
      const shown = await failureOf(client, question, (signal) => client.ask(to(api), { ...question, signal }));
      t.diagnostic(`${api}, failed: ${question.requests()} requests, ${question.starts()} start: ${shown}`);
      assert.equal(question.requests(), Math.min(client.requestsPerFailure, enoughRequests));
      assert.equal(question.starts(), 1);
    };

    cases[requirement(['item-67'], `${api}: a client that gives up and retries joins the run`)] = async () => {
      const gate = await makeGate(t);
      const question = newQuestion({ say: ['slow but sure'], gate: gate.file });
      const asked = client.ask(to(api), { ...question, timeoutMs: 3000 });
      await waitUntil('the client has retried', () => question.requests() > 1);
      gate.open();
      assert.equal((await asked).text, 'slow but sure');
      t.diagnostic(`${api}, gave up: ${question.requests()} requests, ${question.starts()} start`);
      assert.ok(question.requests() > 1);
      assert.equal(question.starts(), 1);
    };

    cases[requirement(['item-63'], `${api}: an unknown model is refused once`)] = async () => {
      const question = newQuestion({ say: ['no'] });
      await assert.rejects(client.ask(to(api), { ...question, model: 'gpt-4o' }), (error: Error) => {
        t.diagnostic(`${api}, unknown model: ${error.message}`);
        assert.match(toldBy(error), api === '/v1' ? /unsupported model/ : /unsupported model, this server has haiku/);
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
      await assert.rejects(streamed, (error: Error) => /streaming not supported/.test(toldBy(error)));
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

    [requirement(['item-90'], 'a stream begins before a client gives up')]: async () => {
      const question = newQuestion({ say: ['slow but sure'], pauseMs: 10_000 });
      const { text } = await client.stream(to('/openai/v1'), { ...question, timeoutMs: 8000 }, () => {});
      assert.equal(text, 'slow but sure');
      assert.deepEqual([question.requests(), question.starts()], [1, 1]);
    },

    [requirement(['item-74'], 'an agent whose reader has gone is ended')]: async () => {
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
    [requirement(['item-39'], 'an answer in a wrong format is a failure of one run')]: async () => {
      const to = connectionTo(servers.wide, traffic)('/openai/v1');
      const question = newQuestion({ say: ['Paris, of course.'] });
      await failureOf(client, question, (signal) => client.structured(to, question.text, signal));
      assert.equal(question.starts(), 1);
    },

    [requirement(['item-73'], 'an agent that is silent for too long is started once, and the client gets an error')]:
      async () => {
        const to = connectionTo(servers.hasty, traffic)('/openai/v1');
        const question = newQuestion({ hang: true });
        const shown = await failureOf(client, question, (signal) => client.ask(to, { ...question, signal }));
        if (client.requestsPerFailure <= enoughRequests) assert.match(shown, /no answer after 1.5 s.*stream it/);
        assert.equal(question.starts(), 1);
      },

    [requirement(
      ['item-66'],
      'when no slot is free, a client of /v1 retries, and a client of /openai/v1 waits in the queue',
    )]: async () => {
      const to = connectionTo(servers.narrow, traffic);
      const [refused, queued] = [newQuestion({ say: ['later'] }), newQuestion({ say: ['next'] })];

      const first = await takeTheSlot(t, servers.narrow);
      const later = client.ask(to('/v1'), refused);
      await waitUntil('the client is refused', () => refused.statuses().includes(503));
      await first.release();
      assert.equal((await later).text, 'later');

      const second = await takeTheSlot(t, servers.narrow);
      const next = client.ask(to('/openai/v1'), queued);
      await waitUntil('the client waits', async () => (await healthOf(servers.narrow)).queued === 1);
      await second.release();
      assert.equal((await next).text, 'next');
      t.diagnostic(`busy: ${refused.requests()} requests at /v1, ${queued.requests()} at /openai/v1`);
      assert.ok(refused.requests() > 1);
      assert.equal(queued.requests(), 1);
      assert.deepEqual([refused.starts(), queued.starts()], [1, 1]);
    },
  };
}

/** The message that the client shows for a failure. */
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
    await waitUntil('the client has retried often enough', () => question.requests() >= enoughRequests);
    enough.abort();
  }
  return failed;
}

/** Makes questions that differ from each other, so that the requests and starts of each can be counted separately. */
function questions(services: ScriptedService[], traffic: Traffic) {
  let count = 0;
  return (script: Script) => {
    count += 1;
    const text = `Question ${count}. #agent ${JSON.stringify(script)}`;
    const inJson = JSON.stringify(text).slice(1, -1);
    const isOfQuestion = (value: unknown) => JSON.stringify(value ?? null).includes(inJson);
    return {
      text,
      messages: says(text),
      /** How many agents were given the question, as an argument or over stdin. */
      starts: () =>
        services.flatMap((service) => [...service.starts(), ...service.received()]).filter(isOfQuestion).length,
      requests: () => traffic.exchanges.filter(({ sent }) => isOfQuestion(sent)).length,
      /** The status of each answer so far. */
      statuses: () => traffic.exchanges.filter(({ sent }) => isOfQuestion(sent)).map(({ answer }) => answer?.status),
    };
  };
}

/** Occupies the only slot of a server until `release` is called. */
async function takeTheSlot(t: TestContext, service: ScriptedService): Promise<{ release(): Promise<void> }> {
  const gate = await makeGate(t);
  const answer = service.chat('/openai/v1', askFor({ say: ['done'], gate: gate.file }));
  await waitUntil('the slot is taken', async () => (await healthOf(service)).active === 1);
  return {
    async release() {
      gate.open();
      await (await answer).text();
    },
  };
}

async function healthOf(service: ScriptedService): Promise<{ active: number; queued: number }> {
  return (await (await service.get('/health')).json()) as { active: number; queued: number };
}
