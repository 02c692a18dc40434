/** Slots: a fixed number of runs at once, and a bounded queue of requests that wait for a slot. */
import { ServiceError } from '../errors.ts';
import type { Release } from '../releases.ts';
import type { Task } from '../task.ts';
import { RunTimes, retryAfterSeconds } from './estimates.ts';
import { FairQueue } from './fair-queue.ts';
import { UnqueuedShare } from './unqueued-share.ts';

type Kind = Task['kind'];

/** The facts about a task that decide when it gets a slot. */
export type Candidate = Pick<Task, 'kind' | 'owner'>;

export type AcquireOptions = {
  /** Ends the wait; `acquire` then throws the signal's reason. */
  signal: AbortSignal;
  /**
   * What happens if no slot is free. `refuse`: throw `agent_busy` at once. `queue`: wait, within the limits of the
   * queue. `wait`: wait without a limit, for a caller that has its own limited queue, such as the jobs in the store. When
   * the queue is full, a task of an owner with fewer waiting tasks takes the place of the newest task of the owner with
   * the most, which is then refused with `queue_full`.
   */
  whenBusy: 'refuse' | 'queue' | 'wait';
};

export type Slots = {
  /**
   * Takes a slot for the task, and returns a function that releases the slot. Only the first call of this function
   * counts. Throws `agent_busy`, `queue_full`, `wait_timeout`, `shutting_down`, or the signal's reason; no slot is then
   * taken.
   */
  acquire(task: Candidate, options: AcquireOptions): Promise<Release>;
  /** Returns the error with which `acquire` would refuse the task at once. Returns `undefined` if it would not. */
  refusal(task: Candidate, whenBusy: AcquireOptions['whenBusy']): ServiceError | undefined;
  /** Returns whether a task of this kind would get a slot at once. `refuse` and `queue` may differ. */
  hasFree(kind: Kind, whenBusy?: AcquireOptions['whenBusy']): boolean;
  /**
   * `active` is the number of used slots, `queued` the number of requests that wait with `queue`, and `capacity` the
   * number of all slots.
   */
  counters(): { active: number; queued: number; capacity: number };
  /** Refuses every new task and every waiting task with `shutting_down`. Used slots stay in use. */
  close(): void;
  /** Settles when every slot is free. */
  idle(): Promise<void>;
};

export type SlotsOptions = {
  /** How many runs there may be at once. At least 1. */
  capacity: number;
  /** How many tasks may wait with `queue`. */
  maxQueued: number;
  /** How long a task may wait with `queue`, in milliseconds. */
  waitMs: number;
  /**
   * The share of the slots, from 0 to 1, that jobs get while chat requests wait too. Chat and jobs may use each other's
   * free slots.
   */
  jobShare?: number;
  /**
   * The part of the released slots, from 0 to 1, that is held free for tasks with `refuse` while other tasks wait and
   * tasks with `refuse` were refused. `holdMs` is how long, in milliseconds; the default is 1 s.
   */
  unqueuedShare?: number;
  holdMs?: number;
  /** How many slots jobs never get, so that chat need not wait for a long job to end. */
  chatReserved?: number;
  /** A monotonic clock, in milliseconds. */
  now?: () => number;
};

type Waiter = Candidate & {
  /** Whether it counts for the limit of the queue. */
  bounded: boolean;
  grant(release: Release): void;
  refuse(reason: unknown): void;
};

export function createSlots(options: SlotsOptions): Slots {
  return new SharedSlots(options);
}

class SharedSlots implements Slots {
  readonly #runTimes: RunTimes;
  readonly #options: SlotsOptions;
  readonly #shares: Record<Kind, number>;
  readonly #active: Record<Kind, number> = { chat: 0, job: 0 };
  readonly #queues: Record<Kind, FairQueue<Waiter>> = { chat: new FairQueue(), job: new FairQueue() };
  readonly #unqueued: UnqueuedShare;
  /** How many tasks wait with `queue`. */
  #queued = 0;
  #closed = false;
  #idle = Promise.withResolvers<void>();

  constructor(options: SlotsOptions) {
    this.#options = options;
    const jobShare = options.jobShare ?? 0.5;
    this.#shares = { chat: 1 - jobShare, job: jobShare };
    this.#runTimes = new RunTimes(options.now);
    this.#unqueued = new UnqueuedShare({
      share: options.unqueuedShare ?? 0,
      holdMs: options.holdMs ?? 1000,
      now: options.now ?? (() => performance.now()),
      onUnused: () => this.#fill(),
    });
    this.#idle.resolve();
  }

  async acquire(task: Candidate, { signal, whenBusy }: AcquireOptions): Promise<Release> {
    signal.throwIfAborted();
    const refusal = this.refusal(task, whenBusy);
    if (refusal) throw refusal;
    if (this.hasFree(task.kind, whenBusy)) {
      if (whenBusy === 'refuse') this.#unqueued.end();
      return this.#take(task.kind);
    }
    if (whenBusy === 'queue' && this.#isFull()) this.#displaceableFor(task)?.();
    return this.#wait(task, signal, whenBusy === 'queue');
  }

  refusal(task: Candidate, whenBusy: AcquireOptions['whenBusy']): ServiceError | undefined {
    if (this.#closed) return shuttingDown();
    if (this.hasFree(task.kind, whenBusy)) return undefined;
    if (whenBusy === 'refuse') {
      this.#unqueued.refused();
      return new ServiceError('agent_busy', undefined, { retryAfterSeconds: this.#retryAfter(1) });
    }
    const isRefused = whenBusy === 'queue' && this.#isFull() && !this.#displaceableFor(task);
    return isRefused ? this.#queueFull() : undefined;
  }

  hasFree(kind: Kind, whenBusy?: AcquireOptions['whenBusy']): boolean {
    if (whenBusy === 'refuse' && this.#unqueued.holding) return this.#isBelowLimit(kind);
    return this.#mayStart(kind) && this.#queues[kind].size === 0;
  }

  counters() {
    return { active: this.#active.chat + this.#active.job, queued: this.#queued, capacity: this.#options.capacity };
  }

  close(): void {
    this.#closed = true;
    this.#unqueued.end();
    const waiters = Object.values(this.#queues).flatMap((queue) => queue.clear());
    for (const waiter of waiters) waiter.refuse(shuttingDown());
  }

  idle(): Promise<void> {
    return this.#idle.promise;
  }

  #wait(task: Candidate, signal: AbortSignal, bounded: boolean): Promise<Release> {
    const { promise, resolve, reject } = Promise.withResolvers<Release>();
    const queue = this.#queues[task.kind];
    const leave = () => {
      clearTimeout(deadline);
      signal.removeEventListener('abort', onAbort);
      if (bounded) this.#queued -= 1;
    };
    const waiter: Waiter = {
      ...task,
      bounded,
      grant(release) {
        leave();
        resolve(release);
      },
      refuse(reason) {
        queue.remove(task.owner, waiter);
        leave();
        reject(reason);
      },
    };
    const onAbort = () => waiter.refuse(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const { waitMs } = this.#options;
    const deadline = bounded ? setTimeout(() => waiter.refuse(this.#waitTimeout()), waitMs) : undefined;
    queue.add(task.owner, waiter);
    if (bounded) this.#queued += 1;
    return promise;
  }

  /** Returns whether a waiting task of this kind may take a slot. A held slot is not for waiting tasks. */
  #mayStart(kind: Kind): boolean {
    const held = this.#unqueued.holding ? 1 : 0;
    return this.counters().active + held < this.#options.capacity && this.#isBelowLimit(kind);
  }

  #isBelowLimit(kind: Kind): boolean {
    const { active, capacity } = this.counters();
    const limit = kind === 'job' ? capacity - (this.#options.chatReserved ?? 0) : capacity;
    return active < capacity && this.#active[kind] < limit;
  }

  #take(kind: Kind): Release {
    if (this.counters().active === 0) this.#idle = Promise.withResolvers<void>();
    this.#active[kind] += 1;
    const ended = this.#runTimes.start(kind);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      ended();
      this.#active[kind] -= 1;
      this.#fill();
      if (this.counters().active === 0) this.#idle.resolve();
    };
  }

  #fill(): void {
    if (this.#nextKind()) this.#unqueued.consider();
    for (let kind = this.#nextKind(); kind; kind = this.#nextKind()) {
      this.#unqueued.granted();
      this.#queues[kind].take()?.grant(this.#take(kind));
    }
  }

  #isFull(): boolean {
    return this.#queued >= this.#options.maxQueued;
  }

  /**
   * Returns a function that makes room in the full queue for a task whose owner has fewer waiting tasks than another, so
   * that no owner can fill the queue. Returns `undefined` if no other owner has more.
   */
  #displaceableFor({ kind, owner }: Candidate): (() => void) | undefined {
    let own = 0;
    let most: Waiter[] = [];
    for (const [each, items] of this.#queues[kind].byOwner()) {
      const bounded = [...items].filter((waiter) => waiter.bounded);
      if (each === owner) own = bounded.length;
      else if (bounded.length > most.length) most = bounded;
    }
    const newest = most.length > own + 1 ? most.at(-1) : undefined;
    return newest && (() => newest.refuse(this.#displaced(most.length)));
  }

  /**
   * Returns the kind whose task starts next. Among the kinds with a task that waits and may start, this is the kind
   * that uses the least of its share. If both use the same part of their shares, it is chat.
   */
  #nextKind(): Kind | undefined {
    const able = (['chat', 'job'] as const).filter((kind) => this.#queues[kind].size > 0 && this.#mayStart(kind));
    const used = (kind: Kind) => (this.#active[kind] + 1) / this.#shares[kind];
    return able.reduce<Kind | undefined>((best, kind) => (best && used(best) <= used(kind) ? best : kind), undefined);
  }

  #retryAfter(slots: number): number {
    return retryAfterSeconds(this.#runTimes.waitFor(slots));
  }

  #queueFull(): ServiceError {
    const { capacity, maxQueued } = this.#options;
    const state =
      maxQueued === 0
        ? `every slot is taken (${capacity} of ${capacity}), and with MAX_QUEUED_RUNS=0 no request may wait`
        : `${maxQueued} of ${maxQueued} waiting requests, the limit of MAX_QUEUED_RUNS`;
    return new ServiceError('queue_full', `Cannot queue the run: ${state}`, {
      retryAfterSeconds: this.#retryAfter(this.#queued + 1),
    });
  }

  #displaced(waiting: number): ServiceError {
    const state = `${waiting} requests of this key waited, and another key needed one of the ${this.#options.maxQueued} places (MAX_QUEUED_RUNS)`;
    return new ServiceError('queue_full', `Cannot queue the run: ${state}`, {
      retryAfterSeconds: this.#retryAfter(this.#queued),
    });
  }

  #waitTimeout(): ServiceError {
    const { waitMs } = this.#options;
    const state = `every slot was taken for ${waitMs / 1000} s, the limit of QUEUE_TIMEOUT_SECONDS`;
    return new ServiceError('wait_timeout', `Cannot start the run: ${state}`, {
      retryAfterSeconds: this.#retryAfter(this.#queued),
    });
  }
}

function shuttingDown(): ServiceError {
  return new ServiceError('shutting_down');
}
