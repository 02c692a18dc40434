/** Prewarmed agents: started ahead, each in a workspace of its own, and waiting for their first run. */

import type { Task } from '../../task.ts';
import { backoff } from '../../waits.ts';
import type { Prepared, Workspaces } from '../../workspaces/workspaces.ts';
import type { AgentStage, Fixed } from '../agent.ts';
import { endPooled, type PooledAgent } from './pooled-agent.ts';

export type PrewarmedSettings = {
  /** How many are kept at most. 0: none, every run starts its own. */
  count: number;
  /** What the first agent is started for, before any task has been seen. */
  first: Fixed;
  /** The model that an agent is started with; changing it before the first turn costs 6 ms and leaves no trace. */
  model: string;
  /** An older agent is replaced: settings that it read at its start may have changed. Milliseconds. */
  maxAgeMs: number;
  /** After this time without a task no agent is kept. Milliseconds. */
  unusedMs: number;
  /** @param failures how many starts in a row have failed */
  onFailed(error: unknown, failures: number): void;
};

type Prewarmed = {
  key: string;
  /** On the clock of `performance.now()`. */
  startedAt: number;
  /** `undefined`: it could not be started. */
  ready: Promise<PooledAgent | undefined>;
};

const sweepMs = 1000;
/** Failed starts are repeated ever more rarely. Meanwhile a run starts its own agent, and its error names the cause. */
const retry = { firstMs: 500, longestMs: 60_000 };
/** A prewarmed agent has its first token after about 100 ms. */
const refillAfterMs = 300;

export class PrewarmedAgents {
  readonly #stages: { workspaces: Workspaces; agents: AgentStage };
  readonly #settings: PrewarmedSettings;
  readonly #sweeper: NodeJS.Timeout | undefined;
  readonly #retry = backoff(retry);
  #waiting: Prewarmed[] = [];
  #wanted: Fixed;
  #lastUse = performance.now();
  #failures = 0;
  #notBefore = 0;
  #started = 0;
  #destroyed = false;
  #refill: NodeJS.Timeout | undefined;

  constructor(stages: { workspaces: Workspaces; agents: AgentStage }, settings: PrewarmedSettings) {
    this.#stages = stages;
    this.#settings = settings;
    this.#wanted = settings.first;
    if (settings.count === 0) return;
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs).unref();
    this.#fill();
  }

  /**
   * Removes the oldest agent that fits the task from the pool; a replacement follows shortly. One that is still starting
   * is waited for, since a new one would only begin to start now. `undefined`: there is none.
   */
  async take(task: Task): Promise<PooledAgent | undefined> {
    if (this.#settings.count === 0 || this.#destroyed) return undefined;
    this.#lastUse = performance.now();
    this.#wanted = this.#stages.agents.fixedOf(task);
    const key = this.#keyOf(this.#wanted);
    const found = this.#waiting.find((prewarmed) => prewarmed.key === key);
    if (found) this.#remove(found);
    // Not at once: starting an agent takes a core, which the one that was just taken needs for its first token.
    this.#refill ??= setTimeout(() => {
      this.#refill = undefined;
      this.#fill();
    }, refillAfterMs);
    const agent = await found?.ready;
    if (!agent || agent.session.alive) return agent;
    await endPooled(agent);
    return undefined;
  }

  async destroy(): Promise<void> {
    this.#destroyed = true;
    clearInterval(this.#sweeper);
    clearTimeout(this.#refill);
    await this.#endAll(this.#waiting.splice(0));
  }

  /** What an agent has in common with the tasks that it can serve. */
  #keyOf(fixed: Fixed): string {
    return JSON.stringify([fixed.agent, fixed.budgetUsd, this.#stages.agents.identity()]);
  }

  #fill(): void {
    const now = performance.now();
    if (this.#destroyed || now < this.#notBefore || now - this.#lastUse > this.#settings.unusedMs) return;
    const key = this.#keyOf(this.#wanted);
    void this.#endAll(this.#waiting.filter((prewarmed) => prewarmed.key !== key));
    this.#waiting = this.#waiting.filter((prewarmed) => prewarmed.key === key);
    while (this.#waiting.length < this.#settings.count) this.#start(key, this.#wanted);
  }

  #start(key: string, fixed: Fixed): void {
    this.#started += 1;
    const ready = this.#startOne(`prewarmed_${this.#started}`, fixed);
    const prewarmed: Prewarmed = { key, startedAt: performance.now(), ready };
    this.#waiting.push(prewarmed);
    void ready.then(async (agent) => {
      if (!agent) return this.#remove(prewarmed);
      this.#failures = 0;
      this.#retry.reset();
      await agent.session.ended;
      // An agent that was taken, or that the pool has ended, is no failure.
      if (!this.#waiting.includes(prewarmed)) return;
      this.#remove(prewarmed);
      this.#failed(new Error('A prewarmed agent ended before a run used it'));
      await endPooled(agent);
    });
  }

  async #startOne(id: string, fixed: Fixed): Promise<PooledAgent | undefined> {
    let prepared: Prepared | undefined;
    try {
      prepared = await this.#stages.workspaces.prepare(id);
      const session = await this.#stages.agents.startSession(id, fixed, this.#settings.model, prepared);
      return { session, prepared };
    } catch (error) {
      this.#failed(error);
      await prepared?.discard().catch(() => {});
      return undefined;
    }
  }

  #failed(error: unknown): void {
    this.#failures += 1;
    this.#notBefore = performance.now() + this.#retry.next();
    if (!this.#destroyed) this.#settings.onFailed(error, this.#failures);
  }

  #sweep(): void {
    const now = performance.now();
    const unused = now - this.#lastUse > this.#settings.unusedMs;
    const old = this.#waiting.filter(({ startedAt }) => unused || now - startedAt > this.#settings.maxAgeMs);
    for (const prewarmed of old) this.#remove(prewarmed);
    void this.#endAll(old);
    this.#fill();
  }

  #remove(prewarmed: Prewarmed): void {
    this.#waiting = this.#waiting.filter((other) => other !== prewarmed);
  }

  async #endAll(prewarmed: Prewarmed[]): Promise<void> {
    await Promise.all(
      prewarmed.map(async ({ ready }) => {
        const agent = await ready;
        if (agent) await endPooled(agent);
      }),
    );
  }
}
