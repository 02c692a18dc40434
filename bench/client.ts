/** A client that measures: one question over either API, timed from the request to each piece of the answer. */
import { Agent, type IncomingMessage, request } from 'node:http';
import { type ServerProcess, token } from './server-process.ts';

export type ChatMessage = { role: 'user' | 'assistant'; content: string };

export type Answer = {
  runId: string;
  text: string;
  /** From the request to the first text, or to the whole answer if it is not streamed. */
  firstTokenMs: number;
  totalMs: number;
};

export type Listener = {
  /** Called with the first chunk, which has no text: the agent begins to work. */
  onRole?(): void;
  onText?(text: string): void;
};

/** Keeps connections open, as clients do. */
const connections = new Agent({ keepAlive: true, maxSockets: 1100 });
const limitMs = 90_000;

/** A streamed answer through `/openai/v1`. Rejects on an error, a broken stream, or after 90 s. */
export async function askStreaming(
  server: ServerProcess,
  messages: ChatMessage[],
  listener: Listener = {},
): Promise<Answer> {
  const began = performance.now();
  const body = { model: 'haiku', messages, stream: true };
  const response = await send(server, 'POST', '/openai/v1/chat/completions', body);
  let text = '';
  let firstTokenMs: number | undefined;
  let whole = false;
  for await (const data of events(response)) {
    if (data === '[DONE]') {
      whole = true;
      continue;
    }
    const { choices, error } = JSON.parse(data) as Chunk;
    if (error) throw new Error(`The stream broke off: ${error.message}`);
    const delta = choices[0]?.delta;
    if (delta?.role) listener.onRole?.();
    if (!delta?.content) continue;
    firstTokenMs ??= performance.now() - began;
    text += delta.content;
    listener.onText?.(delta.content);
  }
  if (!whole || firstTokenMs === undefined) throw new Error(`The stream ended early, after "${text.slice(-100)}"`);
  return { runId: runIdOf(response), text, firstTokenMs, totalMs: performance.now() - began };
}

/** An answer in one piece. */
export async function askWhole(
  server: ServerProcess,
  api: '/v1' | '/openai/v1',
  messages: ChatMessage[],
): Promise<Answer> {
  const began = performance.now();
  const response = await send(server, 'POST', `${api}/chat/completions`, { model: 'haiku', messages });
  const { choices } = JSON.parse(await textOf(response)) as { choices: { message: { content: string } }[] };
  const totalMs = performance.now() - began;
  return { runId: runIdOf(response), text: choices[0]?.message.content ?? '', firstTokenMs: totalMs, totalMs };
}

type Chunk = { choices: { delta: { role?: string; content?: string } }[]; error?: { message: string } };

/** Any request, with the key. Rejects with the body of an error answer, and after 90 s. */
export async function send(
  { url }: ServerProcess,
  method: string,
  path: string,
  body?: object,
): Promise<IncomingMessage> {
  const json = body === undefined ? '' : JSON.stringify(body);
  const headers = {
    authorization: `Bearer ${token}`,
    ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) }),
  };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const signal = AbortSignal.timeout(limitMs);
    const sent = request(url + path, { method, agent: connections, headers, signal }, resolve);
    sent.once('error', reject).end(json);
  });
  if ((response.statusCode ?? 500) < 400) return response;
  throw new Error(`${method} ${path} was answered ${response.statusCode}: ${await textOf(response)}`);
}

/** The `data` of each server-sent event. */
export async function* events(response: IncomingMessage): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of response.setEncoding('utf8')) {
    const frames = (rest + chunk).split('\n\n');
    rest = frames.pop() ?? '';
    for (const frame of frames) {
      const [, data] = /^data: (.*)$/m.exec(frame) ?? [];
      if (data !== undefined) yield data;
    }
  }
}

export async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return text;
}

function runIdOf(response: IncomingMessage): string {
  return String(response.headers['x-run-id'] ?? '');
}
