/** The server with an agent that follows the script in its prompt, and records what it received. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { hostEnvironment } from '../../src/config/config.ts';
import { scratchFolder } from './fake-model-agent.ts';
import { ask, startTestService, type TestService } from './service.ts';

/** The script that `agents/scripted` follows. */
export type Script = {
  say?: string[];
  /** How many times all of `say` is said. */
  times?: number;
  /** The pause before each piece of `say`, in milliseconds. */
  pauseMs?: number;
  /** A file: the last piece of `say` is said only when it exists. `makeGate` makes one. */
  gate?: string;
  think?: string;
  /** The text before the tool call. */
  before?: string;
  tool?: { name: string; input: unknown; result: string };
  /** The text of a whole turn that answers no line of the server. It is printed before and after the turn of the script. */
  unasked?: string;
  /** Members of the result that differ from the usual ones. */
  result?: Record<string, unknown>;
  exit?: number;
  stderr?: string;
  hang?: boolean;
  /** How long it stays alive after SIGTERM, in milliseconds. */
  lingerMs?: number;
};

type Note = { pid: number; started?: string[]; received?: Record<string, unknown> };

export type ScriptedService = TestService & {
  /** The arguments of every agent that was started. */
  starts(): string[][];
  /** Every line that an agent received over stdin. */
  received(): Record<string, unknown>[];
  chat(api: '/v1' | '/openai/v1', body: unknown, headers?: Record<string, string>): Promise<Response>;
};

export const scriptedAgent = fileURLToPath(new URL('agents/scripted', import.meta.url));

export async function startScriptedService(
  t: TestContext,
  settings: Record<string, string> = {},
): Promise<ScriptedService> {
  const file = join(await scratchFolder(t), 'notes');
  const service = await startTestService(
    t,
    // Without a sandbox, because the file of its notes is outside of its workspace.
    { CLAUDE_BIN: scriptedAgent, AGENT_ENV: 'AGENT_NOTES', SANDBOX: 'off', ...settings },
    { ...hostEnvironment(), AGENT_NOTES: file },
  );
  const notes = (): Note[] =>
    existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          // The text after the last line feed is still being written.
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

/** Holds the last word of a scripted agent back until the test opens the gate. */
export type Gate = { file: string; open(): void };

export async function makeGate(t: TestContext): Promise<Gate> {
  const file = join(await scratchFolder(t), 'open');
  return { file, open: () => writeFileSync(file, '') };
}

/** A chat body with a script for the agent. */
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

/** Reads a stream until `enough` holds for the text so far, and gives up the rest. Returns the text. Throws after 60 s. */
export async function readUntil(
  response: Response,
  enough: (text: string) => boolean | Promise<boolean>,
): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  const tooLate = setTimeout(60_000, undefined, { ref: false }).then(() => {
    throw new Error(`Waited 60 s in vain for more of a stream that ends with: ${text.slice(-300)}`);
  });
  // It rejects also after the text was found; nobody waits for it then.
  tooLate.catch(() => {});
  for (;;) {
    const { done, value } = (await Promise.race([reader?.read(), tooLate])) ?? { done: true };
    if (done) return text;
    text += decoder.decode(value, { stream: true });
    if (!(await enough(text))) continue;
    // Not awaited: where the response is a clone, it settles only when the other one is cancelled too.
    void reader?.cancel();
    return text;
  }
}

/** How many runs the server counts as active. */
export async function activeRuns(service: TestService): Promise<number> {
  return ((await (await service.get('/health')).json()) as { active: number }).active;
}
