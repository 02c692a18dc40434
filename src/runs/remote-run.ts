/** Runs a task on another machine that shares the store, and passes its events on as if it ran on this machine. */
import { asServiceError, ServiceError } from '../errors.ts';
import type { ChatStore } from '../store/chat-store.ts';
import { isEndState } from '../store/job.ts';
import type { Outcome, Task } from '../task.ts';
import { type EventLog, follow } from './follow.ts';
import type { RunContext } from './run.ts';
import { type LogStore, storedLog } from './stored-log.ts';

export type RunTaskOptions = RunContext & {
  /**
   * What happens if no slot is free. `refuse`: an error at once. `queue`: the run waits, within the limits of the
   * queue.
   */
  whenBusy: 'refuse' | 'queue';
  /** See `ExecuteOptions`. */
  settle: 'after_release' | 'at_outcome';
};

/**
 * Runs the task. Throws the `ServiceError` of the run, `agent_busy`, `queue_full`, `wait_timeout`, or the signal's
 * reason.
 */
export type RunRemotely = (task: Task, options: RunTaskOptions) => Promise<Outcome>;

export type RemoteRunSettings = {
  /** How many runs may wait for a slot. */
  maxQueued: number;
  /** How long each of these runs may wait, in milliseconds. */
  waitMs: number;
};

/**
 * A run is ended if its gateway has not renewed it for this long, in milliseconds. The clocks of the machines must
 * differ by less.
 */
const leaseMs = 30_000;
const renewMs = 5000;
/** With `refuse`, how long a worker has to claim the run, in milliseconds. A worker with a free slot needs less. */
const refuseMs = 1000;
/** How long the store may be unreachable before the gateway gives up the run, in milliseconds. */
const patienceMs = 20_000;

export function createRemoteRun(store: LogStore & { chats: ChatStore }, settings: RemoteRunSettings): RunRemotely {
  const { chats } = store;
  return async (task, { signal, emit, whenBusy }) => {
    signal.throwIfAborted();
    const id = await chats.submit(task, { maxWaiting: settings.maxQueued, leaseMs });
    const notStarted = notStartedError(whenBusy, settings);
    const giveUp = new AbortController();
    const stop = AbortSignal.any([signal, giveUp.signal]);
    const renewal = setInterval(() => chats.renew(id, leaseMs).catch(() => {}), renewMs);
    const withdraw = () =>
      chats.withdraw(id).then(
        (withdrawn) => withdrawn && giveUp.abort(notStarted),
        (error) => giveUp.abort(error),
      );
    const startDeadline = () => setTimeout(withdraw, whenBusy === 'refuse' ? refuseMs : settings.waitMs);
    let deadline = startDeadline();
    let ended = false;
    let working = false;
    try {
      for await (const { seq: _, at: _at, ...event } of follow(patient(storedLog(store, id)), 0, stop)) {
        if (event.type === 'state') {
          clearTimeout(deadline);
          // A claimed run waits again if the worker did not hear of its claim.
          if (event.state === 'queued') deadline = startDeadline();
          ended = isEndState(event.state);
        } else if (event.type !== 'events_full') {
          working ||= event.type === 'working';
          emit(event);
        }
      }
      stop.throwIfAborted();
      return await outcomeOf(chats, id, notStarted);
    } catch (error) {
      // The run may have cost something by then, so the client must not simply retry.
      if (!working || asServiceError(error).code !== 'store_unavailable') throw error;
      const message = 'Cannot finish the run: the job store, through which it is followed, cannot be reached';
      throw new ServiceError('interrupted', message, { cause: error });
    } finally {
      clearInterval(renewal);
      clearTimeout(deadline);
      // Nobody waits for this. If it fails, the end of the lease has the same effect.
      void (ended ? chats.forget(id) : chats.cancel(id)).catch(() => {});
    }
  };
}

function notStartedError(whenBusy: RunTaskOptions['whenBusy'], { waitMs }: RemoteRunSettings): ServiceError {
  if (whenBusy === 'refuse') return new ServiceError('agent_busy', undefined, { retryAfterSeconds: 5 });
  const message = `Cannot start the run: every slot of every machine was taken for ${waitMs / 1000} s`;
  return new ServiceError('wait_timeout', message, { retryAfterSeconds: 5 });
}

/** A log whose store may be away for a while. */
function patient<Event>(log: EventLog<Event>): EventLog<Event> {
  let lastRead = performance.now();
  return {
    async read(after) {
      try {
        const page = await log.read(after);
        lastRead = performance.now();
        return page;
      } catch (error) {
        if (performance.now() - lastRead > patienceMs) throw error;
        return { events: [], last: after, more: 'later' };
      }
    },
    onMore: (listener) => log.onMore(listener),
  };
}

async function outcomeOf(chats: ChatStore, id: string, notStarted: ServiceError): Promise<Outcome> {
  const end = await chats.end(id);
  if (end && 'outcome' in end) return end.outcome;
  // It never ran: its lease ended because this process had stood still for too long.
  if (!end || !('failure' in end)) throw notStarted;
  const { code, message, extra } = end.failure;
  throw new ServiceError(code, message, extra);
}
