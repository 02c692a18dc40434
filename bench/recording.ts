/** The output of the real agent for a short answer. It is recorded at the start of every run, so that the stub is never out of date. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from '../src/config/config.ts';
import { runCommand } from '../src/processes/child-process.ts';

export type Recording = {
  /** The whole output. */
  whole: string;
  /** Before the first piece of text. */
  head: string;
  /** The line that carries a piece of text. */
  delta(text: string): string;
  /** The line that carries a piece of thought. */
  thought(text: string): string;
  /** After the last piece of text; its last line is the result. */
  tail: string;
};

/** The folder of the lines that the stub prints. An agent in a sandbox can read it if `AGENT_READS` names it. */
export function stubFolder(home: string): string {
  return join(home, '.claude', 'bench');
}

/** Runs the agent once over stdin, as the OpenAI API does, and writes its output to the folder of the stub. */
export async function recordAgent(claude: string, environment: Environment, home: string): Promise<Recording> {
  const session = ['-p', '--output-format', 'stream-json', '--verbose', '--model', 'haiku'];
  const streamed = ['--input-format', 'stream-json', '--include-partial-messages', '--no-session-persistence'];
  const turn = {
    type: 'user',
    message: { role: 'user', content: [{ type: 'text', text: '[[say: a short answer]]' }] },
  };
  const { stdout, stderr, code } = await runCommand(claude, [...session, ...streamed], {
    cwd: home,
    env: environment,
    timeoutMs: 30_000,
    input: `${JSON.stringify({ ...turn, parent_tool_use_id: null, client_composed: true })}\n`,
  });
  if (code !== 0) throw new Error(`Cannot record the agent: it ended with status ${code}: ${stderr.slice(-500)}`);
  const recording = cut(withoutIds(stdout.toString('utf8')));
  mkdirSync(stubFolder(home), { recursive: true });
  writeFileSync(join(stubFolder(home), 'recorded'), recording.whole);
  return recording;
}

/** The stub answers any line, so its result must not name the recorded line. */
function withoutIds(whole: string): string {
  const lines = whole.trim().split('\n');
  return `${lines
    .map((line) => {
      const { user_message_uuid: _, user_message_uuids: __, ...message } = JSON.parse(line) as Record<string, unknown>;
      return JSON.stringify(message);
    })
    .join('\n')}\n`;
}

function cut(whole: string): Recording {
  const lines = whole.trim().split('\n');
  const isText = (line: string) => line.includes('"text_delta"');
  const first = lines.findIndex(isText);
  const last = lines.findLastIndex(isText);
  const template = lines[first];
  if (template === undefined) throw new Error('Cannot use the recording: the agent streamed no text');
  const [before = '', after = ''] = template.split(/"text":"[^"]*"/);
  return {
    whole,
    head: `${lines.slice(0, first).join('\n')}\n`,
    delta: (text) => `${before}"text":${JSON.stringify(text)}${after}\n`,
    thought: (text) => `${before.replace('text_delta', 'thinking_delta')}"thinking":${JSON.stringify(text)}${after}\n`,
    tail: `${lines.slice(last + 1).join('\n')}\n`,
  };
}
