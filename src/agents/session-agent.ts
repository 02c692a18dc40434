/** Runs an agent that gets its messages over stdin, which allows roles, images, a system prompt and streamed text. */
import { randomUUID } from 'node:crypto';
import { ServiceError } from '../errors.ts';
import type { AgentEvent, Message, Outcome, Task } from '../task.ts';
import type { Session, TurnOptions } from './agent.ts';
import type { AgentProcess, ProcessListener } from './agent-process.ts';
import { ControlRequests } from './control-requests.ts';
import { exchange, withRunLimit } from './exchange.ts';
import { failureOfExit } from './failure.ts';
import { type ModelRetries, refusedRetry } from './model-failure.ts';
import { outcomeOf, spentIn } from './outcome.ts';
import { assistantLine, resetLine, userLine } from './protocol/input.ts';
import { type ProtocolMessage, readMessage } from './protocol/messages.ts';
import { type AgentResult, isAnswerTo } from './protocol/result.ts';
import { agentsIn, refuseUnknownAgent, TaskSettings } from './task-settings.ts';
import { Turn } from './turn.ts';

/**
 * How long the CLI may be silent when a past message is appended or the conversation is reset, in milliseconds.
 * Appending takes 20 ms, so a process that is silent for longer is broken.
 */
const appendMs = 30_000;
/**
 * How long the CLI may take to print any line when a turn begins, in milliseconds. It answers a control request within
 * 5 ms, but its start takes 0.3 s, and far longer on a busy machine. A process that is silent for longer is frozen.
 */
const signOfLifeMs = 3000;
const startMs = 15_000;
/** How long the CLI may take to give its result after an interrupt, in milliseconds. It takes 3 ms. */
const interruptMs = 1000;

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
  modelRetries: ModelRetries;
  onUnknown(name: string): void;
};

export class SessionAgent implements Session {
  readonly #process: AgentProcess;
  readonly #options: SessionOptions;
  readonly #control: ControlRequests;
  readonly #settings: TaskSettings;
  #lastResult: AgentResult | undefined;
  #sessionId: string | undefined;
  readonly #startedAt = performance.now();
  /** Whether the process has printed a line, so that its start is over. */
  #hasAnswered = false;
  /** The limit for the first line of the next exchange. Undefined if there is none. */
  #signMs: number | undefined;
  /** Whether the agent has used a tool that may do more after its result. */
  #mayGoOn = false;
  #hadBackgroundTask = false;
  #turn: Turn | undefined;
  turnsServed = 0;
  usedTools = false;
  lost = false;
  /**
   * Listens while the agent serves no turn. An agent that begins a turn by itself is ended, because the turn costs money
   * and no client has asked for it.
   */
  readonly #whileIdle: ProcessListener = {
    onLine: (line) => {
      this.#hasAnswered = true;
      const message = readMessage(line);
      if (message?.type === 'turn_begins' || message?.type === 'asks_model') void this.#process.end();
    },
    onBroken: () => void this.#process.end(),
    onExit: () => {},
  };

  constructor(process: AgentProcess, options: SessionOptions) {
    this.#process = process;
    this.#options = options;
    this.#control = new ControlRequests(process);
    this.#settings = new TaskSettings(this.#control, options.model, options.instructions);
    this.#process.listen(this.#whileIdle);
    this.#control.askForSign();
  }

  run(task: Task, options: TurnOptions): Promise<Outcome> {
    return this.continueFrom(0, task, options);
  }

  async continueFrom(known: number, task: Task, options: TurnOptions): Promise<Outcome> {
    const limit = withRunLimit(options.signal, task.limits.runMs);
    const turn = { ...options, signal: limit.signal };
    this.#turn = undefined;
    this.lost = false;
    try {
      this.#expectSign();
      if (this.#settings.send(task)) {
        refuseUnknownAgent(task, await this.#exchange(undefined, turn.signal, appendMs, agentsIn));
      }
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
    this.#expectSign();
    const result = await this.#exchange(resetLine(id), signal, appendMs, resultFor(id));
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
    return !this.#mayGoOn && this.alive && (await this.#process.isAlone());
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

  /** Asks for a sign of life. The answer comes before anything else, even before the next line has been read. */
  #expectSign(): void {
    this.#control.askForSign();
    const startLeftMs = this.#hasAnswered ? 0 : startMs - (performance.now() - this.#startedAt);
    this.#signMs = Math.max(signOfLifeMs, startLeftMs);
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
        await this.#exchange(userLine(past, id, false), turn.signal, appendMs, resultFor(id));
      }
    }
  }

  async #ask(last: Message, task: Task, { signal, onEvent }: TurnOptions): Promise<Outcome> {
    const giveUp = new AbortController();
    let refused: ServiceError | undefined;
    let interrupted: NodeJS.Timeout | undefined;
    const emit = (event: AgentEvent) => {
      if (event.type === 'tool_call') {
        this.usedTools = true;
        this.#mayGoOn ||= !endsWithItsResult.has(event.name);
      }
      if (event.type === 'retry') refused ??= refusedRetry(event, task, this.#options.modelRetries);
      if (!refused) onEvent?.(event);
      if (event.type === 'tool_result' && task.kind === 'job') this.#control.askForCost();
    };
    const id = randomUUID();
    const turn = new Turn(id, emit);
    this.#turn = turn;
    const settle = (message: ProtocolMessage): AgentResult | undefined => {
      const result = turn.read(message);
      if (message.type === 'result' && !result) this.#countForeign(message.result);
      if (refused && !interrupted) {
        // The result of the interrupted turn says what the turn has cost.
        this.#control.send({ subtype: 'interrupt' });
        interrupted = setTimeout(() => giveUp.abort(refused), interruptMs);
      }
      return result;
    };
    const stop = AbortSignal.any([signal, giveUp.signal]);
    const result = await this.#exchange(userLine(last, id, true), stop, task.limits.stallMs, settle, emit).finally(() =>
      clearTimeout(interrupted),
    );
    const before = this.#lastResult;
    this.#lastResult = result;
    this.#sessionId = result.sessionId;
    this.turnsServed += 1;
    // A background task would make the CLI ask the model again, at once if it ended before the result.
    if (this.#hadBackgroundTask) void this.#process.kill();
    if (refused) {
      throw new ServiceError(refused.code, refused.message, { ...refused.extra, spent: spentIn(turn, result, before) });
    }
    return outcomeOf(task, turn, result, { before });
  }

  /** Counts what a turn has cost that the CLI began by itself, so that it does not count for the next turn. */
  #countForeign(result: AgentResult): void {
    if (result.spontaneous) this.#lastResult = result;
  }

  async #exchange<T>(
    send: string | undefined,
    signal: AbortSignal,
    stallMs: number,
    settle: (message: ProtocolMessage) => T | undefined,
    emit?: (event: AgentEvent) => void,
  ): Promise<T> {
    const signMs = this.#signMs;
    this.#signMs = undefined;
    try {
      return await exchange<T>(this.#process, {
        ...(send !== undefined && { send }),
        signal,
        stallMs,
        ...(signMs !== undefined && { signOfLifeMs: signMs }),
        settle: (message) => {
          this.#hasAnswered = true;
          if (message.type === 'background') this.#hadBackgroundTask ||= message.running > 0;
          if (message.type === 'control_response') this.#control.read(message, emit);
          return settle(message);
        },
        onUnknown: this.#options.onUnknown,
        afterwards: this.#whileIdle,
        settleExit: (exit) => {
          this.lost = !this.#turn?.askedModel;
          throw failureOfExit({ exit, stderr: this.#process.stderr }, !this.lost);
        },
      });
    } catch (error) {
      if (error instanceof ServiceError && error.code === 'agent_stalled') {
        this.lost = !this.#turn?.askedModel;
        // It must not continue while another agent does its work.
        await this.#process.kill();
      }
      throw error;
    }
  }
}

/**
 * Returns a function that picks the result for the input line with this id. It skips the results that the CLI prints
 * when a background task ends, because they belong to no input line.
 */
function resultFor(id: string): (message: ProtocolMessage) => AgentResult | undefined {
  return (message) => (message.type === 'result' && isAnswerTo(message.result, id) ? message.result : undefined);
}
