/** One run of a chat request that came through the store. */
import { asServiceError, ServiceError } from '../errors.ts';
import type { ChatClaim, ChatEnd, ChatStore } from '../store/chat-store.ts';
import type { Claim } from '../store/job-store.ts';
import type { AgentEvent, Outcome, SyncReport, Task } from '../task.ts';
import { ClaimedRun } from './claimed-run.ts';
import type { Run } from './dispatcher.ts';

export type ChatTools = {
  /** Aborted with a `ServiceError`. */
  signal: AbortSignal;
  onEvent(event: AgentEvent): void;
  onSync(report: SyncReport): void;
  onStart(how: string): void;
};

/** The path of a task, for one that has its place already. */
export type ExecuteChat = (task: Task, tools: ChatTools) => Promise<Outcome>;

/** The agent stage bounds what an agent may say. */
const unbounded = { maxEvents: Number.POSITIVE_INFINITY, maxBytes: Number.POSITIVE_INFINITY };

export function createChatRun({ id, attempt, task, events }: ChatClaim, store: ChatStore, execute: ExecuteChat): Run {
  const claim: Claim = { id, attempt };
  return new ClaimedRun<ChatEnd>({
    claim,
    lastSeq: events,
    bounds: unbounded,
    append: (lastSeq, batch) => store.appendEvents(claim, lastSeq, batch),
    reasons: {
      cancelled: new ServiceError('client_gone', 'The run was ended: its client is gone'),
      stopping: new ServiceError('shutting_down', 'The run was ended: the worker is stopping'),
      lost: new ServiceError('interrupted', 'The run was ended: it is not held to run here any more'),
    },
    work: (signal, log) =>
      endOf(() =>
        execute(task, {
          signal,
          onEvent: (event) => log.add({ ...event }),
          onSync: (sync) => log.add({ type: 'workspace', sync }),
          onStart: (how) => log.add({ type: 'begun', how }),
        }),
      ),
    write: (end) => store.finish(claim, end),
  });
}

async function endOf(run: () => Promise<Outcome>): Promise<ChatEnd> {
  try {
    return { outcome: await run() };
  } catch (thrown) {
    const { code, message, extra } = asServiceError(thrown);
    const { cause: _, ...told } = extra;
    return { failure: { code, message, extra: told } };
  }
}
