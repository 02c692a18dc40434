/** Agents that were started ahead, each in a workspace of its own, and wait for their first turn. */

import type { Task } from '../../task.ts';
import type { Prepared, Workspaces } from '../../workspaces/workspaces.ts';
import type { AgentStage, Fixed } from '../agent.ts';
import { endParked, type Parked } from './parked.ts';

export type SpareSettings = {
  /** How many wait at most. 0: none, every run starts its own. */
  count: number;
  /** What the first spare is started for, before any task has been seen. */
  first: Fixed;
  /** A spare is started for a model; changing it before the first turn costs 6 ms and leaves no trace. */
  model: string;
  /** After this a spare is replaced: settings that it read at its start may have changed. Milliseconds. */
  maxAgeMs: number;
  /** Without a task for this long no spare is kept. Milliseconds. */
  idleMs: number;
  onFailed(error: unknown, failures: number): void;
};

type Waiting = { key: string; startedAt: number; ready: Promise<Parked | undefined> };

/** After so many failed starts in a row the pool stops; a run then starts its own agent and shows the cause. */
const maxFailures = 5;
/** A stopped pool tries again after this long. */
const restMs = 60_000;
const sweepMs = 1000;
/** A warm agent has its first token after about 100 ms. */
const refillAfterMs = 300;

export class Spares {
  readonly #stages: { workspaces: Workspaces; agents: AgentStage };
  readonly #settings: SpareSettings;
  readonly #sweeper: NodeJS.Timeout | undefined;
  #waiting: Waiting[] = [];
  #wanted: Fixed;
  #lastUse = performance.now();
  #failures = 0;
  #notBefore = 0;
  #started = 0;
  #destroyed = false;
  #refill: NodeJS.Timeout | undefined;

  constructor(stages: { workspaces: Workspaces; agents: AgentStage }, settings: SpareSettings) {
    this.#stages = stages;
    this.#settings = settings;
    this.#wanted = settings.first;
    if (settings.count === 0) return;
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs).unref();
    this.#fill();
  }

  /**
   * The oldest spare for the task; one that is still starting is worth waiting for, since a new one would only begin
   * now. Its replacement follows shortly. `undefined`: there is none.
   */
  async take(task: Task): Promise<Parked | undefined> {
    const fixed = this.#stages.agents.fixedOf(task);
    if (!fixed || this.#settings.count === 0 || this.#destroyed) return undefined;
    this.#lastUse = performance.now();
    this.#wanted = fixed;
    const key = this.#keyOf(fixed);
    const found = this.#waiting.find((spare) => spare.key === key);
    if (found) this.#remove(found);
    // Not at once: starting an agent takes a core, which the one that was just taken needs for its first token.
    this.#refill ??= setTimeout(() => {
      this.#refill = undefined;
      this.#fill();
    }, refillAfterMs);
    const spare = await found?.ready;
    if (!spare || spare.session.alive) return spare;
    await endParked(spare);
    return undefined;
  }

  async destroy(): Promise<void> {
    this.#destroyed = true;
    clearInterval(this.#sweeper);
    clearTimeout(this.#refill);
    await this.#endAll(this.#waiting.splice(0));
  }

  /** What a spare has in common with the tasks that it can serve. */
  #keyOf(fixed: Fixed): string {
    return JSON.stringify([fixed.agent, fixed.budgetUsd, this.#stages.agents.identity()]);
  }

  #fill(): void {
    const now = performance.now();
    if (this.#destroyed || now < this.#notBefore || now - this.#lastUse > this.#settings.idleMs) return;
    const key = this.#keyOf(this.#wanted);
    void this.#endAll(this.#waiting.filter((spare) => spare.key !== key));
    this.#waiting = this.#waiting.filter((spare) => spare.key === key);
    while (this.#waiting.length < this.#settings.count) this.#start(key, this.#wanted);
  }

  #start(key: string, fixed: Fixed): void {
    this.#started += 1;
    const ready = this.#startOne(`spare_${this.#started}`, fixed);
    const waiting: Waiting = { key, startedAt: performance.now(), ready };
    this.#waiting.push(waiting);
    void ready.then(async (spare) => {
      if (!spare) return this.#remove(waiting);
      this.#failures = 0;
      await spare.session.ended;
      // Taken, or ended by us: its end is not news.
      if (!this.#waiting.includes(waiting)) return;
      this.#remove(waiting);
      this.#failed(new Error('a spare agent ended while it waited'));
      await endParked(spare);
    });
  }

  async #startOne(id: string, fixed: Fixed): Promise<Parked | undefined> {
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
    const waitMs = this.#failures >= maxFailures ? restMs : 250 * 2 ** this.#failures;
    this.#notBefore = performance.now() + waitMs;
    if (!this.#destroyed) this.#settings.onFailed(error, this.#failures);
  }

  #sweep(): void {
    const now = performance.now();
    const idle = now - this.#lastUse > this.#settings.idleMs;
    const old = this.#waiting.filter((spare) => idle || now - spare.startedAt > this.#settings.maxAgeMs);
    for (const spare of old) this.#remove(spare);
    void this.#endAll(old);
    this.#fill();
  }

  #remove(spare: Waiting): void {
    this.#waiting = this.#waiting.filter((other) => other !== spare);
  }

  async #endAll(spares: Waiting[]): Promise<void> {
    await Promise.all(spares.map(async ({ ready }) => endParked(await ready)));
  }
}
