/** One run of a chat request that came through the store. */
import { asServiceError, ServiceError } from '../errors.ts';
import type { AgentEvent, Outcome, SyncReport, Task } from '../task.ts';
import type { ChatClaim, ChatEnd, ChatStore } from './chat-store.ts';
import { EventLog } from './event-log.ts';
import type { Claim } from './job-store.ts';
import { persist } from './persist.ts';
import type { Run } from './runner.ts';

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

export class ChatRun implements Run {
  readonly claim: Claim;
  readonly #task: Task;
  readonly #store: ChatStore;
  readonly #execute: ExecuteChat;
  readonly #log: EventLog;
  readonly #abort = new AbortController();
  readonly #abandoned = Promise.withResolvers<void>();
  #lost = false;

  constructor(claim: ChatClaim, store: ChatStore, execute: ExecuteChat) {
    this.claim = { id: claim.id, attempt: claim.attempt };
    this.#task = claim.task;
    this.#store = store;
    this.#execute = execute;
    this.#log = new EventLog(
      (lastSeq, events) => store.appendEvents(this.claim, lastSeq, events),
      claim.events,
      unbounded,
      () => this.lose(),
    );
  }

  async run(): Promise<void> {
    const end = await this.#runToEnd();
    if (this.#lost) return;
    await Promise.race([this.#log.close(), this.#abandoned.promise]);
    await persist(() => this.#store.finish(this.claim, end), this.#abandoned.promise);
  }

  cancel(): void {
    this.#abort.abort(new ServiceError('client_gone', 'The run was ended: its client is gone'));
  }

  interrupt(): void {
    this.#abort.abort(new ServiceError('shutting_down', 'The run was ended: the worker is stopping'));
  }

  lose(): void {
    this.#lost = true;
    this.#log.stop();
    this.#abort.abort(new ServiceError('interrupted', 'The run was ended: it is not held to run here any more'));
  }

  abandon(): void {
    this.#log.stop();
    this.#abandoned.resolve();
  }

  async #runToEnd(): Promise<ChatEnd> {
    try {
      const outcome = await this.#execute(this.#task, {
        signal: this.#abort.signal,
        onEvent: (event) => this.#log.add({ ...event }),
        onSync: (sync) => this.#log.add({ type: 'workspace', sync }),
        onStart: (how) => this.#log.add({ type: 'begun', how }),
      });
      return { outcome };
    } catch (thrown) {
      const { code, message, extra } = asServiceError(thrown);
      const { cause: _, ...told } = extra;
      return { failure: { code, message, extra: told } };
    }
  }
}
