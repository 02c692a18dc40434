/** The list of APIs. A new one is a folder and a line here. */
import type { AnyApi } from './api.ts';
import { nativeApi } from './native/native-api.ts';
import { openaiChatApi } from './openai-chat/openai-chat-api.ts';

export type ApisSettings = {
  /** The API that is served under `/v1`. */
  v1Api: 'native' | 'openai';
  /** How many requests may wait for a slot. With 0 no request waits, at any API. */
  maxQueuedRuns: number;
};

export function apis({ v1Api, maxQueuedRuns }: ApisSettings): AnyApi[] {
  const list: AnyApi[] =
    v1Api === 'native'
      ? [nativeApi, openaiChatApi]
      : [{ ...openaiChatApi, bases: [...nativeApi.bases, ...openaiChatApi.bases] }];
  if (maxQueuedRuns > 0) return list;
  // Without a queue the client's next request would be refused while the agent of this request ends.
  return list.map((api) => ({ ...api, policy: { ...api.policy, settle: 'after_release' } }));
}

/** Returns the API that renders errors at a path without a route: the API of the paths beside it. */
export function apiAt(list: AnyApi[], path: string): AnyApi | undefined {
  const bases = list.flatMap((api) => api.bases.map((base) => ({ api, base })));
  const inBase = bases.filter(({ base }) => base !== '' && (path === base || path.startsWith(`${base}/`)));
  return inBase.sort((one, other) => other.base.length - one.base.length)[0]?.api;
}

/** Returns a hint for a request that no route takes: what the caller may have looked for. */
export function hintFor(path: string): string {
  if (/\/responses(\/|$)/.test(path)) {
    return 'there is no Responses API here, use chat completions (with the AI SDK: provider.chat(model))';
  }
  return 'there is nothing; for chat there are POST /openai/v1/chat/completions, POST /v1/chat/completions, GET /v1/models';
}
