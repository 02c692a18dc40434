/** What the model receives of a conversation that a client sends. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { blocksOf, type ContentBlock } from '../../src/fake-model/messages-api.ts';
import { startFakeModelService } from './service.ts';

/** The server with the real agent and the fake model. */
export async function startHearing(t: TestContext, settings: Record<string, string> = {}) {
  const { service, model } = await startFakeModelService(t, settings);
  return {
    service,
    model,
    /** Sends a request. Returns the last request that the model received. */
    async say(messages: object[], more: object = {}, api = '/openai/v1') {
      const response = await service.post(`${api}/chat/completions`, { model: 'haiku', messages, ...more });
      const text = await response.text();
      assert.equal(response.status, 200, text);
      const asked = model.asked().at(-1);
      assert.ok(asked);
      const heard = asked.messages
        .filter((message) => message.role !== 'system')
        .map((message) => ({ role: message.role, blocks: ownBlocks(blocksOf(message)) }));
      return { answer: JSON.parse(text), asked, heard: heard.filter(({ blocks }) => blocks.length > 0) };
    },
  };
}

/** The blocks without those that the agent itself adds. */
function ownBlocks(blocks: ContentBlock[]): ContentBlock[] {
  return blocks
    .filter((block) => block.type !== 'text' || !/^<(system-reminder|local-command|command-name)/.test(block.text))
    .map(({ ...block }) => {
      delete (block as { cache_control?: unknown }).cache_control;
      return block;
    });
}
