/** Serves one run with a process: its prompt is the last argument, its stdin is closed, and it exits after the run. */

import { ServiceError } from '../errors.ts';
import type { Exit } from '../processes/child-process.ts';
import type { Outcome, Task } from '../task.ts';
import type { Agent, TurnOptions } from './agent.ts';
import { AgentProcess, type Launch } from './agent-process.ts';
import { exchange, withRunLimit } from './exchange.ts';
import { failureOfExit } from './failure.ts';
import { type ModelRetries, refusedRetry } from './model-failure.ts';
import { outcomeOf } from './outcome.ts';
import type { ProtocolMessage } from './protocol/messages.ts';
import type { AgentResult } from './protocol/result.ts';
import { Turn } from './turn.ts';

/**
 * How long the agent may take to exit after its result, in milliseconds. The CLI sometimes never exits (a known bug).
 */
const exitGraceMs = 1000;
/**
 * How much plain text is kept, in bytes. Without a result message, it is the answer. A broken command may print without
 * end.
 */
const maxPlainBytes = 8 * 1024 * 1024;

export type ArgumentOptions = { modelRetries: ModelRetries; onUnknown(name: string): void };

export class ArgumentAgent implements Agent {
  readonly #launch: Launch;
  readonly #options: ArgumentOptions;
  #process: AgentProcess | undefined;

  constructor(launch: Launch, options: ArgumentOptions) {
    this.#launch = launch;
    this.#options = options;
  }

  async run(task: Task, options: TurnOptions): Promise<Outcome> {
    const limit = withRunLimit(options.signal, task.limits.runMs);
    try {
      this.#process = await AgentProcess.start(this.#launch);
      return await this.#turn(this.#process, task, { ...options, signal: limit.signal });
    } finally {
      limit.clear();
    }
  }

  async release(): Promise<void> {
    await this.#process?.end();
  }

  async #turn(process: AgentProcess, task: Task, { signal, onEvent }: TurnOptions): Promise<Outcome> {
    const plain = new PlainText();
    let result: AgentResult | undefined;
    let resultTimer: NodeJS.Timeout | undefined;
    const resultGrace = new AbortController();
    let hadBackgroundTask = false;
    const turn = new Turn(undefined, (event) => {
      const refused = event.type === 'retry' && refusedRetry(event, task, this.#options.modelRetries);
      if (refused) throw refused;
      onEvent?.(event);
    });
    const exit = await exchange<Exit | 'never'>(process, {
      signal: AbortSignal.any([signal, resultGrace.signal]),
      stallMs: task.limits.stallMs,
      onPlain: (line) => plain.add(line),
      onUnknown: this.#options.onUnknown,
      settle: (message: ProtocolMessage, line: string) => {
        if (message.type === 'background') hadBackgroundTask ||= message.running > 0;
        const found = turn.read(message);
        if (!found || result) return undefined;
        if (found.text === undefined) plain.add(line);
        result = found;
        // The CLI asks the model again when a background task ends, even if it ended before the result. The
        // client would pay for an answer that is dropped.
        if (hadBackgroundTask) resultGrace.abort();
        else resultTimer = setTimeout(() => resultGrace.abort(), exitGraceMs);
        return undefined;
      },
      settleExit: (ended) => ended,
    })
      .catch((reason: unknown) => {
        // There is a result, so the run has succeeded, even though the process has not exited.
        if (result) return 'never' as const;
        throw reason;
      })
      .finally(() => clearTimeout(resultTimer));
    const ending = { exit: exit === 'never' ? { code: null, signal: null } : exit, stderr: process.stderr };
    if (result?.isError) return outcomeOf(task, turn, result, { ending });
    if (exit !== 'never' && exit.code !== 0) throw failureOfExit(ending, turn.askedModel || plain.text !== '');
    if (result) return outcomeOf(task, turn, result, { ending, fallbackText: plain.text });
    return plainOutcome(plain, ending.exit);
  }
}

/** Returns the plain text as the answer, unchanged, as the native API promises. Throws if the agent printed nothing. */
function plainOutcome(plain: PlainText, exit: Exit): Outcome {
  if (plain.text === '') {
    throw new ServiceError('agent_failed', 'claude exited with status 0 and printed nothing', { exitCode: 0 });
  }
  return {
    text: plain.text,
    models: {},
    turns: 1,
    durationMs: 0,
    stopReason: 'end_turn',
    exitCode: exit.code ?? undefined,
  };
}

class PlainText {
  #lines: string[] = [];
  #bytes = 0;

  add(line: string): void {
    this.#bytes += Buffer.byteLength(line) + 1;
    if (this.#bytes > maxPlainBytes) {
      throw new ServiceError(
        'output_too_large',
        `The agent printed more than ${maxPlainBytes} bytes that are not a message`,
      );
    }
    this.#lines.push(line);
  }

  get text(): string {
    return this.#lines.join('\n');
  }
}
