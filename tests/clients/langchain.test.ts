/** LangChain's `ChatOpenAI`, which retries up to six times even if the server advises against it. */
import {
  AIMessage,
  type AIMessageChunk,
  type BaseMessage,
  HumanMessage,
  SystemMessage,
  ToolMessage,
} from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { z } from 'zod';
import type { Answer, Connection, PublishedClient, Question, Said } from './client.ts';
import { clientSuite } from './suite.ts';

const connect = ({ baseURL, apiKey, fetch }: Connection, { model = 'haiku', timeoutMs }: Partial<Question> = {}) =>
  new ChatOpenAI({
    model,
    apiKey,
    configuration: { baseURL, fetch },
    ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
  });

function messagesOf(said: Said[]): BaseMessage[] {
  return said.flatMap((message): BaseMessage[] => {
    const { role, text } = message;
    if (role === 'tool') {
      const { id, name, input } = message.call;
      const asked = new AIMessage({ content: '', tool_calls: [{ id, name, args: input }] });
      return [asked, new ToolMessage({ tool_call_id: id, content: text })];
    }
    if (role === 'system') return [new SystemMessage(text)];
    if (role === 'assistant') return [new AIMessage(text)];
    if (!message.imageUrl) return [new HumanMessage(text)];
    const image = { type: 'image_url', image_url: { url: message.imageUrl } };
    return [new HumanMessage({ content: [{ type: 'text', text }, image] })];
  });
}

const answerOf = ({ text, usage_metadata }: AIMessageChunk | AIMessage): Answer => ({
  text,
  promptTokens: usage_metadata?.input_tokens,
  completionTokens: usage_metadata?.output_tokens,
});

const langchain: PublishedClient = {
  name: 'LangChain',
  requestsPerFailure: 7,
  async ask(to, question) {
    const { messages, signal } = question;
    return answerOf(await connect(to, question).invoke(messagesOf(messages), { signal }));
  },
  async stream(to, question, onPiece) {
    const { messages, signal } = question;
    let whole: AIMessageChunk | undefined;
    for await (const chunk of await connect(to, question).stream(messagesOf(messages), { signal })) {
      if (chunk.text !== '') onPiece(chunk.text);
      whole = whole ? whole.concat(chunk) : chunk;
    }
    if (!whole) throw new Error('a stream of nothing');
    return answerOf(whole);
  },
  async structured(to, prompt, signal) {
    const shape = z.object({ city: z.string(), population: z.number() });
    return connect(to).withStructuredOutput(shape).invoke(prompt, { signal });
  },
  async askWithTools(to, prompt) {
    const weather = tool(async () => 'rain', { name: 'weather', schema: z.object({ city: z.string() }) });
    return answerOf(await connect(to).bindTools([weather], { tool_choice: 'auto' }).invoke(prompt));
  },
};

clientSuite(langchain);
