/**
 * Starts the fake model: a scripted Anthropic Messages API on 127.0.0.1, with which the real agent runs without an
 * account and without the internet. A header in every answer says that it is scripted. `script.ts` defines the scripts.
 */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type Failure, planAnswer, tokens } from './answer.ts';
import { CutShort, halt, isHalt, type Pace, streamAnswer, wholeAnswer } from './message-stream.ts';
import type { MessagesRequest } from './messages-api.ts';

export type FakeModelOptions = Partial<Pace> & {
  /** The port to listen on. The default is 0, which means any free port. */
  port?: number;
  /** How many of the newest requests are kept. The default is 200. */
  remember?: number;
};

export type ReceivedRequest = {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  /** The body of the request. Undefined if there was none, or if it was not JSON. */
  body: MessagesRequest | undefined;
  /** When the request was received, in milliseconds on the clock of `performance.now()`. */
  receivedAt: number;
};

/** How long after the text before a cut the connection breaks, in milliseconds. */
const cutAfterMs = 50;

export type FakeModel = {
  /** The address of the fake model, for `ANTHROPIC_BASE_URL`. */
  url: string;
  /** The requests that are kept, oldest first. */
  requests: ReceivedRequest[];
  /** Returns the bodies of the requests for an answer, oldest first. Leaves out probes and token counts. */
  asked(): MessagesRequest[];
  /** Closes all connections and stops listening. */
  close(): Promise<void>;
};

/** Starts the fake model. Rejects if the port is taken. */
export async function startFakeModel(options: FakeModelOptions = {}): Promise<FakeModel> {
  const pace: Pace = { firstTokenMs: options.firstTokenMs ?? 0, tokensPerSecond: options.tokensPerSecond ?? Infinity };
  const requests: ReceivedRequest[] = [];
  const failuresSoFar = new Map<string, number>();
  let ids = 0;
  const nextId = (prefix: string) => `${prefix}_fake_${++ids}`;

  async function handle(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const path = new URL(request.url ?? '/', 'http://127.0.0.1').pathname;
    const method = request.method ?? 'GET';
    const receivedAt = performance.now();
    response.setHeader('x-fake-model', 'scripted, not a language model');
    response.setHeader('request-id', nextId('req'));
    const body = await readBody(request);
    requests.push({ method, path, headers: request.headers, body, receivedAt });
    if (requests.length > (options.remember ?? 200)) requests.shift();
    if (path === '/' && (method === 'HEAD' || method === 'GET')) return sendJson(response, 200, { status: 'ok' });
    if (method !== 'POST' || !/^\/v1\/messages(\/count_tokens)?$/.test(path)) {
      return sendError(response, {
        status: 404,
        type: 'not_found_error',
        message: `There is no ${method} ${path} here`,
      });
    }
    if (!Array.isArray(body?.messages)) {
      return sendError(response, {
        status: 400,
        type: 'invalid_request_error',
        message: 'messages: a list is required',
      });
    }
    if (path.endsWith('count_tokens')) return sendJson(response, 200, { input_tokens: tokens(body) });
    await sendAnswer(
      response,
      body,
      planAnswer(body, failuresSoFar, () => nextId('toolu')),
      signal,
    );
  }

  async function sendAnswer(response: ServerResponse, body: MessagesRequest, answer: Answer, signal: AbortSignal) {
    for (let part = answer.parts[0]; part && part.do !== 'stall'; part = answer.parts[0]) {
      if (part.do === 'fail') return sendError(response, part.failure);
      if (!isHalt(part) || (part.do === 'cut' && part.text !== undefined)) break;
      await halt(part, signal);
      answer.parts.shift();
    }
    if (pace.firstTokenMs > 0) await sleep(pace.firstTokenMs, undefined, { signal });
    const identity = { id: nextId('msg'), model: body.model };
    if (!body.stream) return sendText(response, 200, await wholeAnswer(answer, identity, signal));
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
    for await (const event of streamAnswer(answer, identity, pace, signal)) {
      if (!response.write(event)) await once(response, 'drain', { signal });
    }
    response.end();
  }

  const server = createServer((request, response) => {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    handle(request, response, gone.signal).catch((error: Error) => {
      if (gone.signal.aborted) return;
      // The client drops what it has not read when the connection breaks, so it gets time to read.
      if (response.headersSent) setTimeout(() => response.destroy(), cutAfterMs);
      else if (error instanceof CutShort) response.destroy();
      else sendError(response, { status: 400, type: 'invalid_request_error', message: error.message });
    });
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    asked: () => requests.flatMap(({ path, body }) => (path === '/v1/messages' && body ? [body] : [])),
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

async function readBody(request: IncomingMessage): Promise<MessagesRequest | undefined> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined;
  }
}

function sendError(response: ServerResponse, { status, type, message, headers = {} }: Failure): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  sendJson(response, status, { type: 'error', error: { type, message }, request_id: response.getHeader('request-id') });
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  sendText(response, status, JSON.stringify(body));
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(response.req.method === 'HEAD' ? undefined : text);
}
