/** Runs an agent that gets its messages over stdin, which allows roles, images, a system prompt and streamed text. */
import { randomUUID } from 'node:crypto';
import { ServiceError } from '../errors.ts';
import { redact } from '../redact.ts';
import type { AgentEvent, Effort, Message, Outcome, Task } from '../task.ts';
import type { Session, TurnOptions } from './agent.ts';
import type { AgentProcess } from './agent-process.ts';
import { exchange, withRunLimit } from './exchange.ts';
import { failureOfExit } from './failure.ts';
import { outcomeOf } from './outcome.ts';
import { assistantLine, type ControlRequest, controlLine, resetLine, userLine } from './protocol/input.ts';
import type { ProtocolMessage } from './protocol/messages.ts';
import { type AgentResult, isAnswerTo } from './protocol/result.ts';

/**
 * How long the CLI may be silent when a past message is appended or the conversation is reset, in milliseconds.
 * Appending takes 20 ms, so a process that is silent for longer is broken.
 */
const appendMs = 30_000;

/**
 * Tools that do nothing more once they have returned their result. Other tools start agents, watch files, or wake the
 * agent up later. Processes and background tasks of `Bash` are checked separately.
 */
const endsWithItsResult = new Set([
  ...['Bash', 'Read', 'Edit', 'Write', 'NotebookEdit', 'Glob', 'Grep', 'LS', 'TodoWrite'],
  ...['WebFetch', 'WebSearch', 'ToolSearch'],
]);

export type SessionOptions = {
  /** The model that the process was started with. */
  model: string;
  /** The project's instructions, which are added to the system prompt. Undefined if there are none to add. */
  instructions: string | undefined;
  onUnknown(name: string): void;
};

export class SessionAgent implements Session {
  readonly #process: AgentProcess;
  readonly #options: SessionOptions;
  #model: string;
  #effort: Effort | undefined;
  #initialized = false;
  #lastResult: AgentResult | undefined;
  #sessionId: string | undefined;
  #requests = 0;
  #backgroundTasks = 0;
  #mayGoOn = false;
  turnsServed = 0;
  usedTools = false;

  constructor(process: AgentProcess, options: SessionOptions) {
    this.#process = process;
    this.#model = options.model;
    this.#options = options;
  }

  run(task: Task, options: TurnOptions): Promise<Outcome> {
    return this.continueFrom(0, task, options);
  }

  async continueFrom(known: number, task: Task, options: TurnOptions): Promise<Outcome> {
    const limit = withRunLimit(options.signal, task.limits.runMs);
    const turn = { ...options, signal: limit.signal };
    try {
      this.#prepare(task);
      const [last] = task.messages.slice(-1);
      if (!last) throw new ServiceError('internal', 'Cannot run the task: it has no message');
      await this.#replay(task.messages.slice(known, -1), turn);
      return await this.#ask(last, task, turn);
    } finally {
      limit.clear();
    }
  }

  async reset(signal: AbortSignal): Promise<void> {
    const before = this.#sessionId;
    const id = randomUUID();
    const result = await this.#exchange(resetLine(id), { signal }, appendMs, resultFor(id));
    if (result.isError || !result.sessionId || result.sessionId === before) {
      throw new ServiceError('agent_failed', 'Cannot reset the agent: its conversation is still the same');
    }
    this.#sessionId = result.sessionId;
    this.#lastResult = undefined;
    this.usedTools = false;
  }

  get alive(): boolean {
    return this.#process.alive;
  }

  /** Examines the process tree too, because the CLI does not report a process that a command has left running. */
  async isQuiet(): Promise<boolean> {
    if (!this.usedTools) return true;
    return !this.#mayGoOn && this.#backgroundTasks === 0 && (await this.#process.isAlone());
  }

  get spentUsd(): number {
    return this.#lastResult?.costUsd ?? 0;
  }

  get ended(): Promise<void> {
    return this.#process.ended;
  }

  async release(): Promise<void> {
    await this.#process.end();
  }

  /**
   * Writes the settings of the task. Does not wait for their acknowledgement: the CLI keeps the order of the lines, and
   * a refused setting fails the run. The CLI accepts only the first `initialize` of a process, and only before its
   * first turn (measured on 2.1.329).
   */
  #prepare(task: Task): void {
    const system = [this.#options.instructions, task.system].filter((text) => text !== undefined);
    if (!this.#initialized && (system.length > 0 || task.outputSchema)) {
      const appendSystemPrompt = system.length > 0 ? system.join('\n\n') : undefined;
      this.#control({ subtype: 'initialize', appendSystemPrompt, jsonSchema: task.outputSchema });
      this.#initialized = true;
    }
    if (task.model !== this.#model) {
      this.#control({ subtype: 'set_model', model: task.model });
      this.#model = task.model;
    }
    if (task.effort !== this.#effort) {
      this.#control({ subtype: 'apply_flag_settings', settings: { effortLevel: task.effort ?? null } });
      this.#effort = task.effort;
    }
  }

  #control(request: ControlRequest): void {
    this.#requests += 1;
    this.#process.write(controlLine(`${request.subtype}-${this.#requests}`, request));
  }

  /**
   * Appends past messages to the conversation. Waits until the CLI has acknowledged each user message, because the
   * order is lost otherwise. The CLI does not acknowledge assistant messages.
   */
  async #replay(history: Message[], turn: TurnOptions): Promise<void> {
    for (const past of history) {
      if (past.role === 'assistant') {
        this.#process.write(assistantLine(past));
      } else {
        const id = randomUUID();
        await this.#exchange(userLine(past, id, false), { signal: turn.signal }, appendMs, resultFor(id));
      }
    }
  }

  async #ask(last: Message, task: Task, turn: TurnOptions): Promise<Outcome> {
    let streamed = false;
    const calls = new Set<string>();
    const onEvent = (event: AgentEvent) => {
      if (event.type === 'text') streamed = true;
      if (event.type === 'tool_call') {
        calls.add(event.id);
        this.usedTools = true;
        this.#mayGoOn ||= !endsWithItsResult.has(event.name);
      }
      // The call of the structured-output tool is not an event, so the result of that call is not passed on either.
      if (event.type === 'tool_result' && !calls.has(event.id)) return;
      turn.onEvent?.(event);
      // Asks for the cost so far, to show it to readers of the job. After a tool result the CLI is between two calls to
      // the model, so it answers within 2 ms.
      if (event.type === 'tool_result' && task.kind === 'job') this.#control({ subtype: 'get_session_cost' });
    };
    const id = randomUUID();
    const line = userLine(last, id, true);
    const settle = resultFor(id);
    const result = await this.#exchange(line, { ...turn, onEvent }, task.limits.stallMs, (message) => {
      if (message.type === 'events') refuseUnknownAgent(task.agent, message.agents);
      return settle(message);
    });
    const before = this.#lastResult;
    this.#lastResult = result;
    this.#sessionId = result.sessionId;
    this.turnsServed += 1;
    const outcome = outcomeOf(task, result, { before });
    if (!streamed && outcome.text !== '') turn.onEvent?.({ type: 'text', text: outcome.text });
    return outcome;
  }

  /**
   * Handles the response to a control request. Reports the cost so far if the response contains it. Throws if the CLI
   * refused a setting, but not if it refused to report the cost.
   */
  #hear(answer: Extract<ProtocolMessage, { type: 'control_response' }>, onEvent: TurnOptions['onEvent']): void {
    if (answer.costUsd !== undefined) onEvent?.({ type: 'cost', costUsd: answer.costUsd });
    if (answer.error && !answer.requestId.startsWith('get_session_cost')) throw refusal(answer.error);
  }

  #exchange<T>(
    send: string,
    { signal, onEvent }: TurnOptions,
    stallMs: number,
    settle: (message: ProtocolMessage) => T | undefined,
  ): Promise<T> {
    return exchange<T>(this.#process, {
      send,
      signal,
      stallMs,
      onEvent,
      settle: (message) => {
        if (message.type === 'control_response') this.#hear(message, onEvent);
        if (message.type === 'background') this.#backgroundTasks = message.running;
        return settle(message);
      },
      onUnknown: this.#options.onUnknown,
      settleExit: (exit) => {
        throw failureOfExit({ exit, stderr: this.#process.stderr });
      },
    });
  }
}

/**
 * Returns a function that picks the result for the input line with this id. It skips the results that the CLI prints
 * when a background task ends, because they belong to no input line.
 */
function resultFor(id: string): (message: ProtocolMessage) => AgentResult | undefined {
  return (message) => (message.type === 'result' && isAnswerTo(message.result, id) ? message.result : undefined);
}

/**
 * Throws if the CLI does not know the agent definition. Otherwise the CLI would use its default agent, which may have
 * more permissions.
 */
function refuseUnknownAgent(name: string | undefined, known: string[] | undefined): void {
  if (name === undefined || !known || known.includes(name)) return;
  const why = `there are ${known.join(', ')}; AGENT_HOME=import adds those of the operator`;
  throw new ServiceError('agent_failed', `Cannot run the agent "${name}": ${why}`);
}

function refusal(reason: string): ServiceError {
  return new ServiceError('agent_failed', `The agent refused the settings of the run: ${redact(reason)}`);
}
