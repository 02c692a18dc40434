/** Idle agents: each has served a run well and is kept, to continue its conversation or to be reset for a new one. */
import { createHash, hash } from 'node:crypto';
import type { Message, Task } from '../../task.ts';
import type { AgentStage, Session } from '../agent.ts';
import { FollowUps } from './follow-ups.ts';
import { endPooled, type PooledAgent } from './pooled-agent.ts';

export type IdleSettings = {
  /** How many are kept at most; the one that has been idle for longest ends first. 0: none. */
  count: number;
  /** How long one is kept. Milliseconds. */
  maxIdleMs: number;
  /** Whether one may be reset and serve a new conversation of the same owner. */
  reset: boolean;
  /** After so many turns a process is not used again: its memory grows. */
  maxTurns: number;
};

export type ServedAgent = PooledAgent & {
  task: Task;
  /** The texts by which the client may repeat the answer: as it was streamed, and the final one. */
  answers: string[];
};

type IdleAgent = ServedAgent & {
  /** On the clock of `performance.now()`. */
  since: number;
  /** Digests of the conversations that a follow-up of its own may repeat. */
  conversations: string[];
  key: string;
  /** Settles when its conversation is empty; set when it was reset ahead of the next request. */
  reset?: Promise<void>;
};

export type FoundAgent = PooledAgent & {
  /** How many messages of the task the agent's conversation holds. 0: none, and it must be reset first. */
  known: number;
  /** Settles when the reset that has begun is done. Undefined: none has begun. */
  reset: Promise<void> | undefined;
};

const sweepMs = 1000;
/** A reset takes 30 ms; a request that finds the agent meanwhile waits for it. */
const resetMs = 2000;

export class IdleAgents {
  readonly #agents: AgentStage;
  readonly #settings: IdleSettings;
  readonly #sweeper: NodeJS.Timeout | undefined;
  readonly #followUps = new FollowUps();
  #idle: IdleAgent[] = [];

  constructor(agents: AgentStage, settings: IdleSettings) {
    this.#agents = agents;
    this.#settings = settings;
    if (settings.count > 0) this.#sweeper = setInterval(() => this.#sweep(), sweepMs).unref();
  }

  /** Whether an agent can serve another run. */
  accepts(session: Session): boolean {
    return this.#settings.count > 0 && session.alive && session.turnsServed < this.#settings.maxTurns;
  }

  add(served: ServedAgent): void {
    const conversations = served.answers.map((text) => digest([...served.task.messages, assistant(text)]));
    const idle: IdleAgent = { ...served, since: performance.now(), conversations, key: this.#keyOf(served.task) };
    this.#idle.push(idle);
    if (this.#followUps.areUnlikely(idle.key) && this.#mayReset(idle)) this.#resetAhead(idle);
    const excess = Math.max(0, this.#idle.length - this.#settings.count);
    for (const oldest of this.#idle.splice(0, excess)) void endPooled(oldest);
  }

  /**
   * Removes an agent from the pool for a task of the same owner, with the same system prompt and all else that is fixed
   * when an agent starts: the one whose conversation the task continues, else one that can be reset.
   */
  take(task: Task): FoundAgent | undefined {
    const key = this.#keyOf(task);
    const same = this.#idle.filter((idle) => idle.key === key && idle.session.alive);
    const known = task.messages.length - 1;
    if (known > 0) this.#followUps.followedUp(key);
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
    if (known === 0 && resettable.length > 0) this.#followUps.beganAnother(key);
    const chosen = resettable.find((idle) => idle.reset) ?? resettable[0];
    return chosen && this.#remove(chosen, 0);
  }

  async destroy(): Promise<void> {
    clearInterval(this.#sweeper);
    await Promise.all(this.#idle.splice(0).map(endPooled));
  }

  /** The owner is part of it: a process that has seen the messages of one key never serves another key. */
  #keyOf(task: Task): string {
    const { agent, budgetUsd } = this.#agents.fixedOf(task);
    const fixed = [task.owner, agent, budgetUsd, this.#agents.identity(), task.system, task.outputSchema];
    // A system prompt may be megabytes, and keys are remembered for longer than agents are kept.
    return hash('sha256', JSON.stringify(fixed), 'base64url');
  }

  #mayReset({ session, prepared }: IdleAgent): boolean {
    return this.#settings.reset && !session.usedTools && prepared.clean;
  }

  #resetAhead(idle: IdleAgent): void {
    idle.conversations = [];
    idle.reset = idle.session.reset(AbortSignal.timeout(resetMs));
    idle.reset.catch(() => {
      // A run that has taken it meanwhile ends it.
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

/** The CLI counts a process's cost over all its turns, and every request is promised a budget of its own. */
function hasBudgetFor(idle: IdleAgent, task: Task): boolean {
  return idle.session.spentUsd <= task.limits.budgetUsd * 0.2;
}

/** A change of either after a turn would add a line to the conversation. */
function hasSameModel(idle: IdleAgent, task: Task): boolean {
  return idle.task.model === task.model && idle.task.effort === task.effort;
}

function assistant(text: string): Message {
  return { role: 'assistant', blocks: [{ type: 'text', text }] };
}

/** White space at the end of a text is dropped by some clients and means nothing. */
function digest(messages: Message[]): string {
  const sum = createHash('sha256');
  for (const { role, blocks } of messages) {
    const trimmed = blocks.map((block) => (block.type === 'text' ? { ...block, text: block.text.trimEnd() } : block));
    sum.update(JSON.stringify([role, trimmed]));
  }
  return sum.digest('base64url');
}
