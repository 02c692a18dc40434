/** The official client for Node: plain, streamed by hand and by its helper, and `parse()`. */
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import type { Answer, Connection, PublishedClient, Question, Said } from './client.ts';
import { clientSuite } from './suite.ts';

type Messages = OpenAI.ChatCompletionMessageParam[];

const connect = (to: Connection, { timeoutMs }: Partial<Question> = {}) =>
  new OpenAI({ ...to, ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }) });

function messagesOf(said: Said[]): Messages {
  return said.map(({ role, text, imageUrl }) =>
    imageUrl && role === 'user'
      ? {
          role,
          content: [
            { type: 'text', text },
            { type: 'image_url', image_url: { url: imageUrl } },
          ],
        }
      : { role, content: text },
  );
}

const answerOf = (text: string | null | undefined, usage: OpenAI.CompletionUsage | null | undefined): Answer => ({
  text: text ?? '',
  promptTokens: usage?.prompt_tokens,
  completionTokens: usage?.completion_tokens,
});

const tools: OpenAI.ChatCompletionTool[] = [
  { type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: {} }, strict: true } },
];

const openaiNode: PublishedClient = {
  name: 'openai-node',
  requestsPerFailure: 1,
  async ask(to, question) {
    const { model = 'haiku', messages, signal } = question;
    const sent = { model, messages: messagesOf(messages) };
    const completion = await connect(to, question).chat.completions.create(sent, { signal });
    return answerOf(completion.choices[0]?.message.content, completion.usage);
  },
  async stream(to, question, onPiece) {
    const { model = 'haiku', messages, signal } = question;
    const stream = connect(to, question).chat.completions.stream(
      { model, messages: messagesOf(messages), stream_options: { include_usage: true } },
      { signal },
    );
    stream.on('content', onPiece);
    const completion = await stream.finalChatCompletion();
    return answerOf(completion.choices[0]?.message.content, completion.usage);
  },
  async structured(to, prompt, signal) {
    const shape = z.object({ city: z.string(), population: z.number() });
    const completion = await connect(to).chat.completions.parse(
      {
        model: 'haiku',
        messages: [{ role: 'user', content: prompt }],
        response_format: zodResponseFormat(shape, 'city'),
      },
      { signal },
    );
    const { parsed } = completion.choices[0]?.message ?? {};
    if (!parsed) throw new Error('nothing was parsed');
    return parsed;
  },
  async askWithTools(to, prompt) {
    const completion = await connect(to).chat.completions.create({
      model: 'haiku',
      messages: [{ role: 'user', content: prompt }],
      tools,
      tool_choice: 'auto',
      parallel_tool_calls: true,
    });
    return answerOf(completion.choices[0]?.message.content, completion.usage);
  },
};

clientSuite(openaiNode);
