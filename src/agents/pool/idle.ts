/**
 * Keeps idle agents: each has served a run, and waits to continue its conversation, or to be reset for a new
 * conversation.
 */
import { createHash, hash } from 'node:crypto';
import type { Message, Task } from '../../task.ts';
import type { AgentStage, Session } from '../agent.ts';
import { endPooled, type PooledAgent } from './pooled-agent.ts';
import { ResetPolicy } from './reset-policy.ts';

export type IdleSettings = {
  /**
   * How many idle agents are kept. If there are more, the agent that has been idle for longest is ended. 0 means none.
   */
  count: number;
  /** How long an idle agent is kept, in milliseconds. */
  maxIdleMs: number;
  /** Whether an idle agent may be reset to serve a new conversation of the same owner. */
  reset: boolean;
  /** How many turns a process may serve. The limit exists because its memory grows. */
  maxTurns: number;
};

export type ServedAgent = PooledAgent & {
  task: Task;
  /**
   * The answer in its final form and as it was streamed. The client may repeat either when it continues the
   * conversation.
   */
  answers: string[];
};

type IdleAgent = ServedAgent & {
  /** When the agent became idle, on the clock of `performance.now()`. */
  since: number;
  /** A digest of the conversation for each form of the answer. A follow-up begins with the same messages. */
  conversations: string[];
  /** See `#keyOf`: the agent serves only tasks with the same key. */
  key: string;
  /** Settles when the agent has been reset ahead of the next request. Undefined if no such reset has begun. */
  reset?: Promise<void>;
};

export type FoundAgent = PooledAgent & {
  /** How many messages of the task the agent's conversation contains. If it is 0, the agent must be reset first. */
  known: number;
  /** Settles when a reset that was begun ahead of this request is done. Undefined if no reset has begun. */
  reset: Promise<void> | undefined;
};

const sweepMs = 1000;
/**
 * How long a reset ahead of the next request may take, in milliseconds. It takes about 30 ms. A request that takes the
 * agent in the meantime waits for the reset.
 */
const resetMs = 2000;

export class IdleAgents {
  readonly #agents: AgentStage;
  readonly #settings: IdleSettings;
  readonly #sweeper: NodeJS.Timeout | undefined;
  readonly #resetPolicy = new ResetPolicy();
  #idle: IdleAgent[] = [];

  constructor(agents: AgentStage, settings: IdleSettings) {
    this.#agents = agents;
    this.#settings = settings;
    if (settings.count > 0) this.#sweeper = setInterval(() => this.#sweep(), sweepMs).unref();
  }

  /** Returns whether an agent can serve another run. */
  accepts(session: Session): boolean {
    return this.#settings.count > 0 && session.alive && session.turnsServed < this.#settings.maxTurns;
  }

  /** Keeps an agent that has served a run, and resets it at once if no follow-up is expected. */
  add(served: ServedAgent): void {
    const conversations = served.answers.map((text) => digest([...served.task.messages, assistant(text)]));
    const idle: IdleAgent = { ...served, since: performance.now(), conversations, key: this.#keyOf(served.task) };
    this.#idle.push(idle);
    if (this.#resetPolicy.resetsAhead(idle.key) && this.#mayReset(idle)) this.#resetAhead(idle);
    const excess = Math.max(0, this.#idle.length - this.#settings.count);
    for (const oldest of this.#idle.splice(0, excess)) void endPooled(oldest);
  }

  /**
   * Removes an agent from the pool for a task and returns it. The agent has the same owner, the same system prompt, and
   * the same other values that are fixed at its start. Prefers the agent whose conversation the task continues to an
   * agent that can be reset. Returns undefined if there is neither.
   */
  take(task: Task): FoundAgent | undefined {
    const key = this.#keyOf(task);
    const same = this.#idle.filter((idle) => idle.key === key && idle.session.alive);
    const known = task.messages.length - 1;
    if (known > 0) this.#resetPolicy.continued(key);
    const conversation = known > 0 ? digest(task.messages.slice(0, known)) : undefined;
    const continued = same.find(
      (idle) =>
        conversation !== undefined &&
        idle.conversations.includes(conversation) &&
        hasSameModel(idle, task) &&
        hasBudgetFor(idle, task),
    );
    if (continued) return this.#remove(continued, known);
    const resettable = same.filter((idle) => this.#mayReset(idle));
    if (known === 0 && resettable.length > 0) this.#resetPolicy.beganAnother(key);
    const chosen = resettable.find((idle) => idle.reset) ?? resettable[0];
    return chosen && this.#remove(chosen, 0);
  }

  async destroy(): Promise<void> {
    clearInterval(this.#sweeper);
    await Promise.all(this.#idle.splice(0).map(endPooled));
  }

  /**
   * Returns what an agent and its tasks must have in common. This includes the owner, so that a process that has seen
   * the messages of one API key never serves another key.
   */
  #keyOf(task: Task): string {
    const { agent, budgetUsd } = this.#agents.fixedOf(task);
    const fixed = [task.owner, agent, budgetUsd, this.#agents.identity(), task.system, task.outputSchema];
    // The key is a hash, because a system prompt may be megabytes, and the reset policy remembers keys after their
    // agents have ended.
    return hash('sha256', JSON.stringify(fixed), 'base64url');
  }

  #mayReset({ session, prepared }: IdleAgent): boolean {
    return this.#settings.reset && !session.usedTools && prepared.clean;
  }

  #resetAhead(idle: IdleAgent): void {
    idle.conversations = [];
    idle.reset = idle.session.reset(AbortSignal.timeout(resetMs));
    idle.reset.catch(() => {
      // If a run has taken the agent in the meantime, that run ends the agent.
      if (!this.#idle.includes(idle)) return;
      this.#idle = this.#idle.filter((other) => other !== idle);
      void endPooled(idle);
    });
  }

  #remove(idle: IdleAgent, known: number): FoundAgent {
    this.#idle = this.#idle.filter((other) => other !== idle);
    const { session, prepared, reset } = idle;
    return { session, prepared, known, reset };
  }

  #sweep(): void {
    const now = performance.now();
    const over = this.#idle.filter(({ since, session }) => now - since > this.#settings.maxIdleMs || !session.alive);
    this.#idle = this.#idle.filter((idle) => !over.includes(idle));
    for (const idle of over) void endPooled(idle);
  }
}

/**
 * Returns whether an agent has spent at most a fifth of the task's budget. The CLI counts the cost of all turns of a
 * process together, but every request is promised the whole budget.
 */
function hasBudgetFor(idle: IdleAgent, task: Task): boolean {
  return idle.session.spentUsd <= task.limits.budgetUsd * 0.2;
}

/**
 * Returns whether the agent has the model and the effort of the task. A change after a turn would add a line to the
 * conversation.
 */
function hasSameModel(idle: IdleAgent, task: Task): boolean {
  return idle.task.model === task.model && idle.task.effort === task.effort;
}

function assistant(text: string): Message {
  return { role: 'assistant', blocks: [{ type: 'text', text }] };
}

/** Returns a digest of the messages. Ignores white space at the end of a text, because some clients drop it. */
function digest(messages: Message[]): string {
  const sum = createHash('sha256');
  for (const { role, blocks } of messages) {
    const trimmed = blocks.map((block) => (block.type === 'text' ? { ...block, text: block.text.trimEnd() } : block));
    sum.update(JSON.stringify([role, trimmed]));
  }
  return sum.digest('base64url');
}
