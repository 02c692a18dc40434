/** A `fetch` for clients that records their requests and answers, to check these against the published schemas. */
import assert from 'node:assert/strict';
import { assertPublished } from './published-schemas.ts';

export type Exchange = {
  method: string;
  path: string;
  /** The parsed request body. */
  sent: Record<string, unknown> | undefined;
  headers: Headers;
  /** `undefined` until the answer begins, or if the client gave up before that. */
  answer: Received | undefined;
};

type Received = {
  status: number;
  headers: Headers;
  /** `undefined`: the client disconnected before the end. */
  text: Promise<string | undefined>;
};

export type Traffic = {
  fetch: typeof fetch;
  /** Oldest first. */
  exchanges: Exchange[];
  /** Throws when an answer or a chunk so far does not satisfy OpenAI's schema. Returns how many bodies were checked. */
  assertPublished(): Promise<number>;
};

export function recordTraffic(): Traffic {
  const exchanges: Exchange[] = [];
  return {
    exchanges,
    async fetch(input, init) {
      const request = new Request(input, init);
      const exchange: Exchange = {
        method: request.method,
        path: new URL(request.url).pathname,
        sent: typeof init?.body === 'string' ? JSON.parse(init.body) : undefined,
        headers: request.headers,
        answer: undefined,
      };
      exchanges.push(exchange);
      const response = await fetch(request);
      const { status, headers } = response;
      const text = response.clone().text();
      exchange.answer = { status, headers, text: text.catch(() => undefined) };
      return response;
    },
    async assertPublished() {
      let checked = 0;
      for (const { path, answer } of exchanges) {
        const text = await answer?.text;
        if (!answer || text === undefined || !path.startsWith('/openai')) continue;
        checked += assertBody(path, answer, text);
      }
      return checked;
    },
  };
}

/** Returns how many bodies were checked. */
function assertBody(path: string, { status, headers }: Received, text: string): number {
  if (headers.get('content-type')?.startsWith('text/event-stream')) return assertStream(text);
  const body: unknown = JSON.parse(text);
  if (status >= 400) assertPublished('ErrorResponse', body);
  else if (path.endsWith('/models')) assertPublished('ListModelsResponse', body);
  else if (path.includes('/models/')) assertPublished('Model', body);
  else assertPublished('CreateChatCompletionResponse', body);
  return 1;
}

function assertStream(text: string): number {
  const events = text.split('\n\n').filter((event) => event !== '');
  for (const event of events) {
    const data = event.replace(/^data: /, '');
    if (data === '[DONE]') continue;
    const chunk = JSON.parse(data) as object;
    assertPublished('error' in chunk ? 'ErrorResponse' : 'CreateChatCompletionStreamResponse', chunk);
  }
  assert.ok(events.length > 0, 'the stream is empty');
  return events.length;
}
