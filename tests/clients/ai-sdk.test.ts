/** The AI SDK with both of its providers: `@ai-sdk/openai-compatible`, and `@ai-sdk/openai` as `.chat()`. */
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import {
  generateObject,
  generateText,
  type LanguageModel,
  type LanguageModelUsage,
  type ModelMessage,
  streamText,
  tool,
} from 'ai';
import { z } from 'zod';
import type { Answer, Connection, PublishedClient, Question, Said } from './client.ts';
import { clientSuite } from './suite.ts';

type ModelOf = (to: Connection, model: string) => LanguageModel;

/** By default this provider requests any JSON object, and sends no schema. */
const compatible: ModelOf = (to, model) => createOpenAICompatible({ name: 'agent', includeUsage: true, ...to })(model);

const openai: ModelOf = (to, model) => createOpenAI(to).chat(model);

function messagesOf(said: Said[]): ModelMessage[] {
  return said.flatMap((message): ModelMessage[] => {
    const { role, text } = message;
    if (role === 'tool') {
      const { id: toolCallId, name: toolName, input } = message.call;
      const output = { type: 'text' as const, value: text };
      return [
        { role: 'assistant', content: [{ type: 'tool-call', toolCallId, toolName, input }] },
        { role, content: [{ type: 'tool-result', toolCallId, toolName, output }] },
      ];
    }
    if (role !== 'user' || !message.imageUrl) return [{ role, content: text }];
    const image = { type: 'image' as const, image: message.imageUrl };
    return [{ role, content: [{ type: 'text', text }, image] }];
  });
}

const answerOf = (text: string, usage: LanguageModelUsage): Answer => ({
  text,
  promptTokens: usage.inputTokens,
  completionTokens: usage.outputTokens,
});

/**
 * The limit after which the SDK retries is that of Node: `fetch` rejects with this error when an answer has not begun
 * after 300 s. Here it is `timeoutMs`.
 */
function withTimeLimit(to: Connection, { timeoutMs }: Question): Connection {
  if (timeoutMs === undefined) return to;
  return {
    ...to,
    async fetch(input, init) {
      const limit = new AbortController();
      const timer = setTimeout(() => limit.abort(), timeoutMs);
      const signal = AbortSignal.any([limit.signal, ...(init?.signal ? [init.signal] : [])]);
      try {
        return await to.fetch(input, { ...init, signal });
      } catch (error) {
        if (!limit.signal.aborted) throw error;
        const cause = Object.assign(new Error('Headers Timeout Error'), { code: 'UND_ERR_HEADERS_TIMEOUT' });
        throw new TypeError('fetch failed', { cause });
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

function aiSdk(name: string, modelOf: ModelOf): PublishedClient {
  return {
    name,
    requestsPerFailure: 3,
    async ask(to, question) {
      const model = modelOf(withTimeLimit(to, question), question.model ?? 'haiku');
      const { text, usage } = await generateText({
        model,
        messages: messagesOf(question.messages),
        allowSystemInMessages: true,
        abortSignal: question.signal,
      });
      return answerOf(text, usage);
    },
    async stream(to, question, onPiece) {
      const model = modelOf(withTimeLimit(to, question), question.model ?? 'haiku');
      const stream = streamText({
        model,
        messages: messagesOf(question.messages),
        allowSystemInMessages: true,
        abortSignal: question.signal,
        onError: () => {},
      });
      let text = '';
      for await (const part of stream.fullStream) {
        // A failure in a stream arrives as the object that was sent, not as an Error.
        if (part.type === 'error') throw new Error((part.error as Error).message, { cause: part.error });
        if (part.type !== 'text-delta') continue;
        text += part.text;
        onPiece(part.text);
      }
      return answerOf(text, await stream.usage);
    },
    async structured(to, prompt, signal) {
      const schema = z.object({ city: z.string(), population: z.number() });
      return (await generateObject({ model: modelOf(to, 'haiku'), schema, prompt, abortSignal: signal })).object;
    },
    async askWithTools(to, prompt) {
      const weather = tool({ inputSchema: z.object({ city: z.string() }), execute: async () => 'rain' });
      const { text, usage } = await generateText({
        model: modelOf(to, 'haiku'),
        prompt,
        tools: { weather },
        toolChoice: 'auto',
      });
      return answerOf(text, usage);
    },
  };
}

clientSuite(aiSdk('AI SDK, openai-compatible', compatible));
clientSuite(aiSdk('AI SDK, openai.chat', openai));
