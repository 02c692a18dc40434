/** The list of APIs. A new one is a folder and a line here. */
import type { AnyApi } from './api.ts';
import { nativeApi } from './native/native-api.ts';
import { openaiChatApi } from './openai-chat/openai-chat-api.ts';

export type ApisSettings = {
  /** Which API `/v1` is. */
  v1Api: 'native' | 'openai';
  /** 0: no request waits, whichever API it came through. */
  maxQueuedRuns: number;
};

export function apis({ v1Api, maxQueuedRuns }: ApisSettings): AnyApi[] {
  const { policy } = openaiChatApi;
  const openai = {
    ...openaiChatApi,
    // Without a queue the next request would be refused while this one's agent ends.
    policy: maxQueuedRuns === 0 ? { ...policy, settle: 'after_release' as const } : policy,
  };
  if (v1Api === 'native') return [nativeApi, openai];
  return [{ ...openai, bases: [...nativeApi.bases, ...openai.bases] }];
}

/** The API whose words an error at this path is told in: that of its neighbours. */
export function apiAt(list: AnyApi[], path: string): AnyApi | undefined {
  const bases = list.flatMap((api) => api.bases.map((base) => ({ api, base })));
  const inBase = bases.filter(({ base }) => base !== '' && (path === base || path.startsWith(`${base}/`)));
  return inBase.sort((one, other) => other.base.length - one.base.length)[0]?.api;
}

/** For a request that no route takes: what the caller may have looked for. */
export function hintFor(path: string): string {
  if (/\/responses(\/|$)/.test(path)) {
    return 'there is no Responses API here, use chat completions (with the AI SDK: provider.chat(model))';
  }
  return 'there is nothing; for chat there are POST /openai/v1/chat/completions, POST /v1/chat/completions, GET /v1/models';
}
