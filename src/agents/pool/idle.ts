/** Agents that have served a chat turn well and rest: for the follow-up of that conversation, or to be cleared. */
import { createHash, hash } from 'node:crypto';
import type { Message, Task } from '../../task.ts';
import type { AgentStage, Session } from '../agent.ts';
import { Habits } from './follow-ups.ts';
import { endParked, type Parked } from './parked.ts';

export type RestingSettings = {
  /** How many rest at most; the longest rested goes first. 0: none. */
  count: number;
  /** How long one rests. Milliseconds. */
  restMs: number;
  /** Whether one may be cleared and serve a new conversation of the same key. */
  recycle: boolean;
  /** After so many turns a process is not used again: its memory grows. */
  maxTurns: number;
};

export type Served = Parked & {
  task: Task;
  /** The texts by which the client may repeat the answer: as it was streamed, and the final one. */
  told: string[];
};

type Rested = Served & {
  since: number;
  conversations: string[];
  key: string;
  /** Settles when its conversation is gone; it was cleared without waiting for the next one. */
  cleared?: Promise<void>;
};

export type Kept = Parked & {
  /** How many of the task's turns the agent's conversation holds; 0: it is a new one when `cleared` settles. */
  known: number;
  /** Undefined: it must be cleared first. */
  cleared: Promise<void> | undefined;
};

const sweepMs = 1000;
/** It takes 30 ms; whoever comes for the agent meanwhile waits for it. */
const clearAheadMs = 2000;

export class Resting {
  readonly #agents: AgentStage;
  readonly #settings: RestingSettings;
  readonly #sweeper: NodeJS.Timeout | undefined;
  readonly #habits = new Habits();
  #rested: Rested[] = [];

  constructor(agents: AgentStage, settings: RestingSettings) {
    this.#agents = agents;
    this.#settings = settings;
    if (settings.count > 0) this.#sweeper = setInterval(() => this.#sweep(), sweepMs).unref();
  }

  /** Whether an agent that served this task is worth keeping. A job's conversation has no follow-up. */
  wants(task: Task, session: Session): boolean {
    return (
      this.#settings.count > 0 && task.kind === 'chat' && session.alive && session.turnsServed < this.#settings.maxTurns
    );
  }

  add(served: Served): void {
    const conversations = served.told.map((text) => digest([...served.task.messages, assistant(text)]));
    const rested: Rested = { ...served, since: performance.now(), conversations, key: this.#keyOf(served.task) };
    this.#rested.push(rested);
    if (this.#habits.asksOnce(rested.key) && this.#recyclable(rested)) this.#clearAhead(rested);
    while (this.#rested.length > this.#settings.count) void endParked(this.#rested.shift());
  }

  /**
   * An agent of the same owner, the same system prompt and all else that is fixed: the one that holds the task's
   * conversation up to its last turn, else one that can be cleared. It is the caller's from now on.
   */
  take(task: Task): Kept | undefined {
    if (task.kind !== 'chat') return undefined;
    const key = this.#keyOf(task);
    const same = this.#rested.filter((rested) => rested.key === key && rested.session.alive);
    const known = task.messages.length - 1;
    if (known > 0) this.#habits.followedUp(key);
    const conversation = known > 0 ? digest(task.messages.slice(0, known)) : undefined;
    const continued = same.find(
      (rested) =>
        conversation !== undefined &&
        rested.conversations.includes(conversation) &&
        sameModel(rested, task) &&
        hasBudgetFor(rested, task),
    );
    if (continued) return this.#hand(continued, known);
    const recyclable = same.filter((rested) => this.#recyclable(rested));
    if (known === 0 && recyclable.length > 0) this.#habits.beganAnother(key);
    const recycled = recyclable.find((rested) => rested.cleared) ?? recyclable[0];
    return recycled && this.#hand(recycled, 0);
  }

  async destroy(): Promise<void> {
    clearInterval(this.#sweeper);
    await Promise.all(this.#rested.splice(0).map(endParked));
  }

  /** The owner is part of it: nothing that one key said can ever be in a process that serves another. */
  #keyOf(task: Task): string {
    const { agent, budgetUsd } = this.#agents.fixedOf(task) ?? {};
    const fixed = [task.owner, agent, budgetUsd, this.#agents.identity(), task.system, task.outputSchema];
    // A system prompt may be megabytes, and keys are remembered for longer than agents rest.
    return hash('sha256', JSON.stringify(fixed), 'base64url');
  }

  #recyclable({ session, prepared }: Rested): boolean {
    return this.#settings.recycle && !session.usedTools && prepared.clean;
  }

  #clearAhead(rested: Rested): void {
    rested.conversations = [];
    rested.cleared = rested.session.clear(AbortSignal.timeout(clearAheadMs));
    rested.cleared.catch(() => {
      // Who has it by now ends it.
      if (!this.#rested.includes(rested)) return;
      this.#rested = this.#rested.filter((other) => other !== rested);
      void endParked(rested);
    });
  }

  #hand(rested: Rested, known: number): Kept {
    this.#rested = this.#rested.filter((other) => other !== rested);
    const { session, prepared, cleared } = rested;
    return { session, prepared, known, cleared };
  }

  #sweep(): void {
    const now = performance.now();
    const over = this.#rested.filter(({ since, session }) => now - since > this.#settings.restMs || !session.alive);
    this.#rested = this.#rested.filter((rested) => !over.includes(rested));
    for (const rested of over) void endParked(rested);
  }
}

/** The CLI counts a process's cost over all its turns, and every request is promised a budget of its own. */
function hasBudgetFor(rested: Rested, task: Task): boolean {
  return rested.session.spentUsd <= task.limits.budgetUsd * 0.2;
}

/** Changing either after a turn would leave a line in the conversation. */
function sameModel(rested: Rested, task: Task): boolean {
  return rested.task.model === task.model && rested.task.effort === task.effort;
}

function assistant(text: string): Message {
  return { role: 'assistant', blocks: [{ type: 'text', text }] };
}

/** White space at the end of a text is dropped by some clients and means nothing. */
function digest(turns: Message[]): string {
  const sum = createHash('sha256');
  for (const { role, blocks } of turns) {
    const trimmed = blocks.map((block) => (block.type === 'text' ? { ...block, text: block.text.trimEnd() } : block));
    sum.update(JSON.stringify([role, trimmed]));
  }
  return sum.digest('base64url');
}
