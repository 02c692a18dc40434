/** The OpenAI Agents SDK over chat completions: its agents use this server as their model. */
import { Agent, type AgentInputItem, OpenAIChatCompletionsModel, Runner, tool, type Usage } from '@openai/agents';
import OpenAI from 'openai';
import { z } from 'zod';
import type { Answer, Connection, PublishedClient, Question, Said } from './client.ts';
import { clientSuite } from './suite.ts';

function modelOf(to: Connection, { model = 'haiku', timeoutMs }: Partial<Question> = {}) {
  const client = new OpenAI({ ...to, ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }) });
  return new OpenAIChatCompletionsModel(client, model);
}

// Its traces would be sent to OpenAI.
const runner = new Runner({ tracingDisabled: true });

/** In this SDK the system message is the instructions of the agent. */
function agentFor(to: Connection, question: Question) {
  const instructions = question.messages.find(({ role }) => role === 'system')?.text;
  return new Agent({ name: 'caller', model: modelOf(to, question), ...(instructions ? { instructions } : {}) });
}

function inputOf(said: Said[]): AgentInputItem[] {
  return said.flatMap((message): AgentInputItem[] => {
    const { role, text } = message;
    if (role === 'tool') {
      const { id: callId, name, input } = message.call;
      return [
        { type: 'function_call', callId, name, status: 'completed', arguments: JSON.stringify(input) },
        { type: 'function_call_result', callId, name, status: 'completed', output: { type: 'text', text } },
      ];
    }
    if (role === 'system') return [];
    if (role === 'assistant') return [{ role, status: 'completed', content: [{ type: 'output_text', text }] }];
    const image = message.imageUrl ? [{ type: 'input_image' as const, image: message.imageUrl }] : [];
    return [{ role, content: [{ type: 'input_text', text }, ...image] }];
  });
}

const answerOf = (text: string | undefined, usage: Usage): Answer => ({
  text: text ?? '',
  promptTokens: usage.inputTokens,
  completionTokens: usage.outputTokens,
});

const agents: PublishedClient = {
  name: 'OpenAI Agents SDK',
  requestsPerFailure: 1,
  async ask(to, question) {
    const { messages, signal } = question;
    const result = await runner.run(agentFor(to, question), inputOf(messages), { signal });
    return answerOf(result.finalOutput, result.state.usage);
  },
  async stream(to, question, onPiece) {
    const { messages, signal } = question;
    const agent = agentFor(to, question);
    const result = await runner.run(agent, inputOf(messages), { signal, stream: true });
    for await (const event of result) {
      if (event.type === 'raw_model_stream_event' && event.data.type === 'output_text_delta') onPiece(event.data.delta);
    }
    await result.completed;
    return answerOf(result.finalOutput, result.state.usage);
  },
  async structured(to, prompt, signal) {
    const outputType = z.object({ city: z.string(), population: z.number() });
    const { finalOutput } = await runner.run(new Agent({ name: 'caller', model: modelOf(to), outputType }), prompt, {
      signal,
    });
    if (!finalOutput) throw new Error('no output');
    return finalOutput;
  },
  async askWithTools(to, prompt) {
    const parameters = z.object({ city: z.string() });
    const weather = tool({ name: 'weather', description: 'The weather', parameters, execute: async () => 'rain' });
    const agent = new Agent({
      name: 'caller',
      model: modelOf(to),
      tools: [weather],
      modelSettings: { toolChoice: 'auto' },
    });
    const result = await runner.run(agent, prompt);
    return answerOf(result.finalOutput, result.state.usage);
  },
};

clientSuite(agents);
