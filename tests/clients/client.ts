/** The common interface of the published clients, so that one suite tests them all. */

import type { Traffic } from '../support/client-traffic.ts';

export const apis = ['/v1', '/openai/v1'] as const;
export type Api = (typeof apis)[number];

export type Connection = { baseURL: string; apiKey: string; fetch: typeof fetch };

export type ToolCall = { id: string; name: string; input: { [name: string]: string } };

export type Said =
  | { role: 'system' | 'user' | 'assistant'; text: string; imageUrl?: string }
  /** A call of a tool of the client, and its result. */
  | { role: 'tool'; call: ToolCall; text: string };

export type Question = {
  messages: Said[];
  /** `haiku` by default. */
  model?: string;
  /** The time limit of the client, in milliseconds; its own default if absent. */
  timeoutMs?: number;
  signal?: AbortSignal;
};

export type Answer = {
  text: string;
  promptTokens: number | undefined;
  completionTokens: number | undefined;
};

export type City = { city: string; population: number };

/** A client with its default settings: it retries as it does for its users. */
export type PublishedClient = {
  name: string;
  ask(to: Connection, question: Question): Promise<Answer>;
  /** Reads to the end; throws the error of the client. `onPiece` gets each piece of text as it arrives. */
  stream(to: Connection, question: Question, onPiece: (text: string) => void): Promise<Answer>;
  /** Asks for a `City`, in the way of the client. */
  structured(to: Connection, prompt: string, signal?: AbortSignal): Promise<City>;
  /** Offers a tool and leaves the choice to the model. */
  askWithTools(to: Connection, prompt: string): Promise<Answer>;
  /** How many requests it sends for one question whose run fails. */
  requestsPerFailure: number;
};

export function says(text: string): Said[] {
  return [{ role: 'user', text }];
}

/** The settings with which a client reaches an API. Its requests and answers are recorded. */
export function connectionTo({ url, token }: { url: string; token: string }, { fetch }: Traffic) {
  return (api: Api): Connection => ({ baseURL: url + api, apiKey: token, fetch });
}
