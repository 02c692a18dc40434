/** What the published clients have in common, so that one suite drives them all. */

import type { Traffic } from '../support/client-traffic.ts';

export const apis = ['/v1', '/openai/v1'] as const;
export type Api = (typeof apis)[number];

export type Connection = { baseURL: string; apiKey: string; fetch: typeof fetch };

export type ToolCall = { id: string; name: string; input: { [name: string]: string } };

export type Said =
  | { role: 'system' | 'user' | 'assistant'; text: string; imageUrl?: string }
  /** What a tool of the client's was asked, and what it said. */
  | { role: 'tool'; call: ToolCall; text: string };

export type Question = {
  messages: Said[];
  /** `haiku` unless said. */
  model?: string;
  /** The client's own limit; its default unless said. */
  timeoutMs?: number;
  signal?: AbortSignal;
};

export type Answer = {
  text: string;
  promptTokens: number | undefined;
  completionTokens: number | undefined;
};

export type City = { city: string; population: number };

/** A client at its default settings: what it retries, and how often, is what its users get. */
export type PublishedClient = {
  name: string;
  ask(to: Connection, question: Question): Promise<Answer>;
  /** Reads to the end; throws what the client throws. `onPiece` is told as text comes. */
  stream(to: Connection, question: Question, onPiece: (text: string) => void): Promise<Answer>;
  /** Asks for a `City` in the client's own way. */
  structured(to: Connection, prompt: string, signal?: AbortSignal): Promise<City>;
  /** Offers a tool and leaves the choice to the model. */
  askWithTools(to: Connection, prompt: string): Promise<Answer>;
  /** Requests that it sends for one question whose run fails. */
  requestsPerFailure: number;
};

export function says(text: string): Said[] {
  return [{ role: 'user', text }];
}

/** What a client needs to reach a api, its requests and answers being recorded. */
export function connectionTo({ url, token }: { url: string; token: string }, { fetch }: Traffic) {
  return (api: Api): Connection => ({ baseURL: url + api, apiKey: token, fetch });
}
