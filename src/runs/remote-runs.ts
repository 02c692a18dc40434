/** Runs a task on whichever machine has a place for it, as if it ran here. */

import type { AdmitOptions } from '../admission/slots.ts';
import { ServiceError } from '../errors.ts';
import type { ChatEvent, ChatStore } from '../store/chat-store.ts';
import { isEndState } from '../store/job.ts';
import type { JobStore } from '../store/job-store.ts';
import { Bell } from '../store/notifications.ts';
import type { AgentEvent, Outcome, SyncReport, Task } from '../task.ts';

export type RemoteRunOptions = AdmitOptions & {
  onEvent?: (event: AgentEvent) => void;
  onSync?: (report: SyncReport) => void;
  /** Told once, when the agent starts to work. */
  onStart?: (how: string) => void;
};

export type RemoteRuns = {
  /** Throws what the run's `ServiceError` was, `agent_busy`, `queue_full`, `wait_timeout`, or the signal's reason. */
  run(task: Task, options: RemoteRunOptions): Promise<Outcome>;
};

export type RemoteSettings = {
  /** How many may wait for a place. */
  maxQueued: number;
  /** How long each may wait, in milliseconds. */
  waitMs: number;
};

/** Without word from here for so long, the run is ended: this process is gone. Clocks may differ by less. Milliseconds. */
const leaseMs = 30_000;
const renewMs = 5000;
/** A worker with a free place has claimed by then; so `refuse` means at once. Milliseconds. */
const refuseMs = 1000;
/** A wake-up may be lost on its way from another process; then this is how late it is noticed. Milliseconds. */
const pollMs = 1000;
/** The store may be away for so long before a run is given up. Milliseconds. */
const patienceMs = 20_000;
const pageSize = 500;

export function createRemoteRuns(
  store: Pick<JobStore, 'chats' | 'notifications'>,
  settings: RemoteSettings,
): RemoteRuns {
  const { chats, notifications } = store;
  return {
    async run(task, options) {
      options.signal.throwIfAborted();
      const id = await chats.submit(task, { maxWaiting: settings.maxQueued, leaseMs });
      const bell = new Bell(notifications, `job:${id}`);
      const renewal = setInterval(() => chats.keep(id, leaseMs).catch(() => {}), renewMs);
      const follower = new Follower(chats, id, bell, options, waitOf(options.whenBusy, settings));
      try {
        return await follower.follow();
      } finally {
        clearInterval(renewal);
        bell.close();
        // Nobody waits for this, and if it fails the end of the lease does the same.
        void (follower.ended ? chats.forget(id) : chats.cancel(id)).catch(() => {});
      }
    },
  };
}

function waitOf(whenBusy: AdmitOptions['whenBusy'], { waitMs }: RemoteSettings): { ms: number; error: ServiceError } {
  if (whenBusy === 'refuse') {
    return { ms: refuseMs, error: new ServiceError('agent_busy', 'agent is busy', { retryAfterSeconds: 5 }) };
  }
  const message = `Cannot start the run: on every machine all places were taken for ${waitMs / 1000} s`;
  const ms = whenBusy === 'queue' ? waitMs : Number.POSITIVE_INFINITY;
  return { ms, error: new ServiceError('wait_timeout', message, { retryAfterSeconds: 5 }) };
}

class Follower {
  ended = false;
  readonly #chats: ChatStore;
  readonly #id: string;
  readonly #bell: Bell;
  readonly #options: RemoteRunOptions;
  readonly #wait: { ms: number; error: ServiceError };
  readonly #began = performance.now();
  #lastSeq = 0;
  #running = false;
  #lastHeard = performance.now();

  constructor(
    chats: ChatStore,
    id: string,
    bell: Bell,
    options: RemoteRunOptions,
    wait: { ms: number; error: ServiceError },
  ) {
    this.#chats = chats;
    this.#id = id;
    this.#bell = bell;
    this.#options = options;
    this.#wait = wait;
  }

  async follow(): Promise<Outcome> {
    const { signal } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      const more = await this.#read();
      if (this.ended) return this.#outcome();
      if (more) continue;
      const left = this.#running ? pollMs : this.#began + this.#wait.ms - performance.now();
      if (left <= 0 && (await this.#chats.withdraw(this.#id))) throw this.#wait.error;
      await this.#bell.wait(Math.max(1, Math.min(pollMs, left)), signal);
    }
  }

  /** Whether there may be more to read at once. */
  async #read(): Promise<boolean> {
    try {
      const events = await this.#chats.events(this.#id, this.#lastSeq, pageSize);
      this.#lastHeard = performance.now();
      for (const event of events) {
        this.#lastSeq = event.seq;
        this.#pass(event);
      }
      return events.length === pageSize;
    } catch (error) {
      if (performance.now() - this.#lastHeard > patienceMs) throw error;
      return false;
    }
  }

  #pass(event: ChatEvent): void {
    const { onEvent, onSync, onStart } = this.#options;
    if (event.type === 'state') {
      this.#running = event.state === 'running';
      this.ended = isEndState(event.state);
    } else if (event.type === 'workspace') {
      onSync?.(event.sync);
    } else if (event.type === 'begun') {
      onStart?.(event.how);
    } else {
      const { seq: _, at: _at, ...said } = event;
      onEvent?.(said);
    }
  }

  async #outcome(): Promise<Outcome> {
    const end = await this.#chats.end(this.#id);
    if (end && 'outcome' in end) return end.outcome;
    // It never ran: its lease ended because this process had stood still for too long.
    if (!end || !('failure' in end)) throw this.#wait.error;
    const { code, message, extra } = end.failure;
    throw new ServiceError(code, message, extra);
  }
}
