/** Who runs and who waits: a fixed number of places, and a bounded queue before them. */
import { ServiceError } from '../errors.ts';
import type { Release } from '../releases.ts';
import type { Task } from '../task.ts';
import { RunTimes, retryAfterSeconds } from './estimates.ts';
import { Turns } from './fair-queue.ts';

type Kind = Task['kind'];

/** What a place is asked for with. */
export type Candidate = Pick<Task, 'id' | 'kind' | 'owner'>;

export type AdmitOptions = {
  signal: AbortSignal;
  /**
   * `refuse`: no free place is `agent_busy` at once. `queue`: wait in turn, within the bounds of the queue.
   * `wait`: in turn and without a bound, for a caller that keeps a bounded queue of its own, as the job runner does.
   */
  whenBusy: 'refuse' | 'queue' | 'wait';
};

/** The part that the path of a task needs. */
export type Admission = {
  /**
   * Takes a place for the task; the release gives it back, once. Throws `agent_busy`, `queue_full`, `wait_timeout`
   * or `shutting_down`, each before anything was started, or the signal's reason.
   */
  admit(task: Candidate, options: AdmitOptions): Promise<Release>;
};

export type Slots = Admission & {
  counters(): { active: number; queued: number; capacity: number };
  /** Where a waiting task stands, from 1, and for how many milliseconds if that can be told; `undefined`: not waiting. */
  waiting(taskId: string): { position: number; expectedWaitMs: number | undefined } | undefined;
  /** How long runs take, for those who queue in front of the places. */
  runTimes: RunTimes;
  /** Refuses newcomers and those who wait with `shutting_down`; who has a place keeps it. */
  close(): void;
  /** Settles when every place has been given back. */
  idle(): Promise<void>;
};

export type SlotsOptions = {
  capacity: number;
  /** How many may wait with `queue`. */
  maxQueued: number;
  /** How long each of them may wait, in milliseconds. */
  waitMs: number;
  /** The part of the places, 0 to 1, that jobs get while chat waits too. Whatever one kind leaves free the other may use. */
  jobShare?: number;
  /** Slots that jobs never take, so that chat need not wait for a long job to end. */
  chatReserved?: number;
  /** A monotonic clock, in milliseconds. */
  now?: () => number;
};

type Waiter = Candidate & { grant(release: Release): void; refuse(reason: unknown): void };

export function createSlots(options: SlotsOptions): Slots {
  return new SharedSlots(options);
}

/** For a caller that holds a place already: hands that one out. Giving it back is left to whoever took it. */
export const alreadyAdmitted: Admission = { admit: async () => () => {} };

class SharedSlots implements Slots {
  readonly runTimes: RunTimes;
  readonly #options: SlotsOptions;
  readonly #shares: Record<Kind, number>;
  readonly #active: Record<Kind, number> = { chat: 0, job: 0 };
  readonly #lines: Record<Kind, Turns<Waiter>> = { chat: new Turns(), job: new Turns() };
  readonly #waiters = new Map<string, Waiter>();
  #queued = 0;
  #closed = false;
  #idle = Promise.withResolvers<void>();

  constructor(options: SlotsOptions) {
    this.#options = options;
    const jobShare = options.jobShare ?? 0.5;
    this.#shares = { chat: 1 - jobShare, job: jobShare };
    this.runTimes = new RunTimes(options.now);
    this.#idle.resolve();
  }

  async admit(task: Candidate, { signal, whenBusy }: AdmitOptions): Promise<Release> {
    signal.throwIfAborted();
    if (this.#closed) throw shuttingDown();
    if (this.#mayStart(task.kind) && this.#lines[task.kind].size === 0) return this.#take(task.kind);
    if (whenBusy === 'refuse') {
      throw new ServiceError('agent_busy', 'agent is busy', { retryAfterSeconds: this.#retryAfter(1) });
    }
    if (whenBusy === 'queue' && this.#queued >= this.#options.maxQueued) {
      const { maxQueued } = this.#options;
      const state = maxQueued === 0 ? 'every place is taken' : `${maxQueued} of ${maxQueued} places taken`;
      throw new ServiceError('queue_full', `Cannot queue the run: ${state}`, {
        retryAfterSeconds: this.#retryAfter(this.#queued + 1),
      });
    }
    return this.#wait(task, signal, whenBusy === 'queue');
  }

  counters() {
    return { active: this.#active.chat + this.#active.job, queued: this.#queued, capacity: this.#options.capacity };
  }

  waiting(taskId: string) {
    const waiter = this.#waiters.get(taskId);
    const ahead = waiter && this.#lines[waiter.kind].ahead(waiter.owner, waiter);
    if (ahead === undefined) return undefined;
    return { position: ahead + 1, expectedWaitMs: this.runTimes.waitFor(ahead + 1) };
  }

  close(): void {
    this.#closed = true;
    for (const line of Object.values(this.#lines)) for (const waiter of line.clear()) waiter.refuse(shuttingDown());
  }

  idle(): Promise<void> {
    return this.#idle.promise;
  }

  #wait(task: Candidate, signal: AbortSignal, bounded: boolean): Promise<Release> {
    const { promise, resolve, reject } = Promise.withResolvers<Release>();
    const line = this.#lines[task.kind];
    const leave = () => {
      clearTimeout(deadline);
      signal.removeEventListener('abort', onAbort);
      this.#waiters.delete(task.id);
      if (bounded) this.#queued -= 1;
    };
    const waiter: Waiter = {
      ...task,
      grant(release) {
        leave();
        resolve(release);
      },
      refuse(reason) {
        line.remove(task.owner, waiter);
        leave();
        reject(reason);
      },
    };
    const onAbort = () => waiter.refuse(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const { waitMs } = this.#options;
    const deadline = bounded ? setTimeout(() => waiter.refuse(this.#waitTimeout()), waitMs) : undefined;
    line.add(task.owner, waiter);
    this.#waiters.set(task.id, waiter);
    if (bounded) this.#queued += 1;
    return promise;
  }

  #mayStart(kind: Kind): boolean {
    const { active, capacity } = this.counters();
    const limit = kind === 'job' ? capacity - (this.#options.chatReserved ?? 0) : capacity;
    return active < capacity && this.#active[kind] < limit;
  }

  #take(kind: Kind): Release {
    if (this.counters().active === 0) this.#idle = Promise.withResolvers<void>();
    this.#active[kind] += 1;
    const ended = this.runTimes.start(kind);
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
    for (let kind = this.#nextKind(); kind; kind = this.#nextKind()) {
      this.#lines[kind].take()?.grant(this.#take(kind));
    }
  }

  /** Of the kinds that wait and may start, the one that has least of its share; chat on a tie. */
  #nextKind(): Kind | undefined {
    const able = (['chat', 'job'] as const).filter((kind) => this.#lines[kind].size > 0 && this.#mayStart(kind));
    const used = (kind: Kind) => (this.#active[kind] + 1) / this.#shares[kind];
    return able.reduce<Kind | undefined>((best, kind) => (best && used(best) <= used(kind) ? best : kind), undefined);
  }

  #retryAfter(places: number): number {
    return retryAfterSeconds(this.runTimes.waitFor(places));
  }

  #waitTimeout(): ServiceError {
    const { capacity, waitMs } = this.#options;
    const message = `Cannot start the run: ${capacity} of ${capacity} places were taken for ${waitMs / 1000} s`;
    return new ServiceError('wait_timeout', message, { retryAfterSeconds: this.#retryAfter(this.#queued) });
  }
}

function shuttingDown(): ServiceError {
  return new ServiceError('shutting_down', 'Cannot start the run: the server is stopping', { retryAfterSeconds: 5 });
}
