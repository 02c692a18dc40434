/** Keeps prewarmed agents: each is started ahead in its own workspace, and waits for its first run. */

import type { Task } from '../../task.ts';
import { backoff } from '../../waits.ts';
import type { Prepared, Workspaces } from '../../workspaces/workspaces.ts';
import type { AgentStage, Fixed } from '../agent.ts';
import { endPooled, type PooledAgent } from './pooled-agent.ts';

export type PrewarmedSettings = {
  /** How many prewarmed agents are kept. 0 means none. */
  count: number;
  /** The fixed values of the first agents, which are started before any task has been seen. */
  first: Fixed;
  /** The model with which an agent is started. To change it before the first turn costs 6 ms and leaves no trace. */
  model: string;
  /** The age at which an agent is replaced, in milliseconds: settings that it read at its start may have changed. */
  maxAgeMs: number;
  /** How long agents are kept while no task uses prewarmed agents, in milliseconds. */
  unusedMs: number;
  /**
   * Called when an agent could not be started, or ended before a run used it.
   * @param failures how many agents in a row have failed
   */
  onFailed(error: unknown, failures: number): void;
};

type Prewarmed = {
  key: string;
  /** When the start began, on the clock of `performance.now()`. */
  startedAt: number;
  /** Settles with the started agent, or with undefined if it could not be started. Never rejects. */
  ready: Promise<PooledAgent | undefined>;
};

const sweepMs = 1000;
/**
 * How long the pool waits after a failed start, in milliseconds. The waits grow from the first to the longest. In the
 * meantime a run starts its own agent, and the error of that start names the cause.
 */
const retry = { firstMs: 500, longestMs: 60_000 };
/**
 * How long after an agent was taken its replacement is started, in milliseconds. The first token of the taken agent
 * comes after about 100 ms.
 */
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
   * Removes the oldest agent that fits the task from the pool and returns it. Returns undefined if there is none. Waits
   * for an agent that is still starting, because a new agent would take even longer. A replacement is started shortly
   * after.
   */
  async take(task: Task): Promise<PooledAgent | undefined> {
    if (this.#settings.count === 0 || this.#destroyed) return undefined;
    this.#lastUse = performance.now();
    this.#wanted = this.#stages.agents.fixedOf(task);
    const key = this.#keyOf(this.#wanted);
    const found = this.#waiting.find((prewarmed) => prewarmed.key === key);
    if (found) this.#remove(found);
    // The replacement is not started at once: its start takes a whole core, which the taken agent needs for its first
    // token.
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

  /** Returns what an agent and its tasks must have in common. */
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
      // An agent that a run has taken, or that the pool has ended, has not failed.
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
