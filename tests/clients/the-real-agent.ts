/** A published client, the server, the real agent and the fake model: what the client and the model receive. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { recordTraffic } from '../support/client-traffic.ts';
import { startCountedService } from '../support/counted-agent.ts';
import { apis, connectionTo, type PublishedClient, type Said, says } from './client.ts';

const png =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

export async function theRealAgent(t: TestContext, client: PublishedClient): Promise<void> {
  const { service, starts, lastRequest } = await startCountedService(t);
  const traffic = recordTraffic();
  const to = connectionTo(service, traffic);

  /** Runs `work`, and checks that one agent was started for it. */
  async function inOneStart<T>(work: () => Promise<T>): Promise<T> {
    const before = starts();
    const result = await work();
    assert.equal(starts() - before, 1, 'agents started');
    return result;
  }

  await t.test(
    requirement(['item-49', 'item-56', 'item-57', 'C-25'], 'an answer with its usage, on both APIs'),
    async () => {
      for (const api of apis) {
        const question = {
          messages: says('[[say: Paris.]] [[usage: input=5,output=3,cache_read=20,cache_write=100]]'),
        };
        const answer = await inOneStart(() => client.ask(to(api), question));
        assert.deepEqual(answer, { text: 'Paris.', promptTokens: 125, completionTokens: 3 });
      }
    },
  );

  await t.test(
    requirement(['item-77', 'item-79', 'item-80', 'item-82'], 'a streamed answer, piece by piece, with its usage'),
    async () => {
      const pieces: string[] = [];
      const question = {
        messages: says('[[say: first]] [[silence: 2000]] [[words: 50]] [[usage: input=5,output=50]]'),
      };
      const answer = await inOneStart(() => client.stream(to('/openai/v1'), question, (piece) => pieces.push(piece)));
      assert.equal(answer.text, `first${Array.from({ length: 50 }, (_, at) => `w${at + 1}`).join(' ')}`);
      assert.equal(pieces.join(''), answer.text);
      assert.equal(
        pieces.find((piece) => piece !== ''),
        'first',
        'the text before the silence arrives by itself',
      );
      assert.deepEqual([answer.promptTokens, answer.completionTokens], [5, 50]);
    },
  );

  await t.test(
    requirement(['item-16', 'item-26'], 'a conversation reaches the model as alternating messages'),
    async () => {
      const messages: Said[] = [
        { role: 'system', text: 'BE BRIEF' },
        { role: 'user', text: 'first question' },
        { role: 'assistant', text: 'first answer' },
        { role: 'user', text: 'second question [[say: second answer]]' },
      ];
      const answer = await inOneStart(() => client.ask(to('/openai/v1'), { messages }));
      assert.equal(answer.text, 'second answer');
      const { system, messages: received } = lastRequest();
      assert.match(system, /BE BRIEF/);
      assert.deepEqual(
        received.map(({ role, blocks }) => [
          role,
          blocks.map((block) => (block.type === 'text' ? block.text : block.type)),
        ]),
        messages.slice(1).map(({ role, text }) => [role, [text]]),
      );
    },
  );

  await t.test(
    requirement(['item-19', 'item-21'], 'earlier results of tools of the client reach the model'),
    async () => {
      const call = { id: 'call_1', name: 'weather', input: { city: 'Paris' } };
      const messages: Said[] = [
        { role: 'user', text: 'weather in Paris?' },
        { role: 'tool', call, text: 'sunny' },
        { role: 'assistant', text: 'It is sunny.' },
        { role: 'user', text: 'thanks [[say: welcome]]' },
      ];
      await inOneStart(() => client.ask(to('/openai/v1'), { messages }));
      const { messages: received } = lastRequest();
      assert.deepEqual(
        received.map(({ role }) => role),
        ['user', 'assistant', 'user', 'assistant', 'user'],
      );
      const blocks = received.flatMap((message) => message.blocks);
      const asked = blocks.find((block) => block.type === 'tool_use');
      assert.deepEqual([asked?.name, asked?.input], ['weather', call.input]);
      const answered = blocks.find((block) => block.type === 'tool_result');
      assert.equal(answered?.tool_use_id, asked?.id);
      assert.match(JSON.stringify(answered?.content), /sunny/);
    },
  );

  await t.test(requirement(['item-22'], 'an image reaches the model'), async () => {
    const messages: Said[] = [{ role: 'user', text: 'what is this? [[say: a dot]]', imageUrl: png }];
    await inOneStart(() => client.ask(to('/openai/v1'), { messages }));
    const image = lastRequest().messages[0]?.blocks.find((block) => block.type === 'image');
    assert.deepEqual(image?.source, { type: 'base64', media_type: 'image/png', data: png.split(',')[1] });
  });

  await t.test(requirement(['item-37', 'item-38'], 'an answer in a format is one run'), async () => {
    const city = { city: 'Paris', population: 2_100_000 };
    const given = await inOneStart(() => client.structured(to('/openai/v1'), `[[json: ${JSON.stringify(city)}]]`));
    assert.deepEqual(given, city);
  });

  await t.test(requirement(['item-40', 'item-32'], 'tools of the client are accepted'), async () => {
    const answer = await inOneStart(() => client.askWithTools(to('/openai/v1'), 'weather? [[say: sunny]]'));
    assert.equal(answer.text, 'sunny');
    assert.match(traffic.exchanges.at(-1)?.answer?.headers.get('x-ignored-params') ?? '', /\btools\b/);
  });

  const checked = await traffic.assertPublished();
  t.diagnostic(`${checked} answers and chunks satisfy the published schemas`);
  assert.ok(checked > 50);
}
