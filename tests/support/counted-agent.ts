/** The server with the real agent, whose starts are counted, in front of the fake model. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { blocksOf, type ContentBlock, type MessagesRequest, systemText } from '../../src/fake-model/messages-api.ts';
import { fakeModelAgent, scratchFolder } from './fake-model-agent.ts';
import { startTestService } from './service.ts';

const countedClaude = fileURLToPath(new URL('agents/counted-claude', import.meta.url));

/** By default each run starts an agent of its own. */
export async function startCountedService(t: TestContext, settings: Record<string, string> = {}) {
  const { model, environment } = await fakeModelAgent(t);
  const notes = join(await scratchFolder(t), 'starts');
  const service = await startTestService(
    t,
    // Without a sandbox, because the file of its notes is outside of its workspace.
    { CLAUDE_BIN: countedClaude, AGENT_ENV: 'AGENT_NOTES', SANDBOX: 'off', IDLE_AGENTS: '0', ...settings },
    { ...environment, AGENT_NOTES: notes },
  );
  return {
    service,
    model,
    /** How many agents have been started. */
    starts: () => (existsSync(notes) ? readFileSync(notes, 'utf8').trim().split('\n').length : 0),
    /** The last request that the model received. */
    lastRequest: () => modelView(model.asked().at(-1)),
  };
}

export type CountedService = Awaited<ReturnType<typeof startCountedService>>;

/** A conversation as the model received it, without the texts that the agent itself adds. */
function modelView(asked: MessagesRequest | undefined) {
  if (!asked) throw new Error('The model was not asked anything');
  const messages = asked.messages
    .filter(({ role }) => role !== 'system')
    .map((message) => ({ role: message.role, blocks: blocksOf(message).flatMap(ownBlock) }))
    .filter(({ blocks }) => blocks.length > 0);
  return { system: systemText(asked), messages };
}

function ownBlock(block: ContentBlock): ContentBlock[] {
  if (block.type === 'text' && /^<(system-reminder|local-command|command-name)/.test(block.text)) return [];
  const { cache_control: _, ...own } = block as ContentBlock & { cache_control?: unknown };
  return [own];
}
