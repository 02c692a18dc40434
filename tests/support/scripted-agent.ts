/** The server with an agent that does what its prompt says, and tells afterwards what it was given. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hostEnvironment } from '../../src/config/config.ts';
import { scratchFolder } from './fake-model-agent.ts';
import { ask, startTestService, type TestService } from './service.ts';

/** What `agents/scripted` takes. */
export type Script = {
  say?: string[];
  /** How often all of `say` is said. */
  times?: number;
  /** Before each piece of `say`. */
  pauseMs?: number;
  think?: string;
  /** Said before the tool. */
  before?: string;
  tool?: { name: string; input: unknown; result: string };
  /** The text of a result that answers no line, printed before its own. */
  unasked?: string;
  /** Members of its result that are to be other than usual. */
  result?: Record<string, unknown>;
  exit?: number;
  stderr?: string;
  hang?: boolean;
  /** How long it stays although it is asked to end. */
  lingerMs?: number;
};

type Note = { pid: number; started?: string[]; received?: Record<string, unknown> };

export type ScriptedService = TestService & {
  /** The arguments of every agent that was started. */
  starts(): string[][];
  /** Every line that an agent got over stdin. */
  received(): Record<string, unknown>[];
  chat(api: '/v1' | '/openai/v1', body: unknown, headers?: Record<string, string>): Promise<Response>;
};

const scriptedAgent = fileURLToPath(new URL('agents/scripted', import.meta.url));

export async function startScriptedService(
  t: TestContext,
  settings: Record<string, string> = {},
): Promise<ScriptedService> {
  const file = join(await scratchFolder(t), 'notes');
  const service = await startTestService(
    t,
    // Its notes lie outside of its workspace.
    { CLAUDE_BIN: scriptedAgent, AGENT_ENV: 'AGENT_NOTES', SANDBOX: 'off', ...settings },
    { ...hostEnvironment(), AGENT_NOTES: file },
  );
  const notes = (): Note[] =>
    existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          // What follows the last line feed is still being written.
          .slice(0, -1)
          .map((line) => JSON.parse(line) as Note)
      : [];
  return {
    ...service,
    starts: () => notes().flatMap(({ started }) => (started ? [started] : [])),
    received: () => notes().flatMap(({ received }) => (received ? [received] : [])),
    chat: (api, body, headers) => service.post(`${api}/chat/completions`, body, headers),
  };
}

/** A chat body whose question the scripted agent follows. */
export function askFor(script: Script, more: Record<string, unknown> = {}) {
  return ask(`Please. #agent ${JSON.stringify(script)}`, more);
}

/** The parsed events of a stream, `[DONE]` as it is. */
export async function readEvents(response: Response): Promise<(Record<string, unknown> | '[DONE]')[]> {
  const text = await response.text();
  return text
    .split('\n\n')
    .filter((block) => block !== '')
    .map((block) => {
      const data = block.replace(/^data: /, '');
      return data === '[DONE]' ? data : (JSON.parse(data) as Record<string, unknown>);
    });
}
