/** A run: one turn of an agent. It appends events to its log and ends once, well or with an error. */
import { asServiceError, ServiceError } from '../errors.ts';
import type { Outcome, RunEvent, SyncReport } from '../task.ts';

export type RunEnd = { state: 'succeeded'; outcome: Outcome } | { state: 'failed'; error: ServiceError };

/** What the work of a run gets from the run. */
export type RunContext = {
  /** Aborts when the run must end. The reason is a `ServiceError`. */
  signal: AbortSignal;
  /** Appends an event to the run's log. */
  emit(event: RunEvent): void;
};

/** What a run needs of its event log. */
export type EventSink = {
  /** Appends an event. Throws a `ServiceError` if the event cannot be kept; the run ends then. */
  append(event: RunEvent): void;
  close(): void;
};

/**
 * Returns the error of a run that ends because the server stops. A client may retry only if the agent had not started to
 * work.
 */
export function shutdownError(working: boolean): ServiceError {
  if (!working) return new ServiceError('shutting_down');
  return new ServiceError('interrupted', 'Cannot finish the run: the server is stopping');
}

export class Run<Log extends EventSink = EventSink> {
  readonly id: string;
  readonly log: Log;
  /** The time of creation, in milliseconds since 1970. */
  readonly createdAt = Date.now();
  /** Settles when the run has ended. Never rejects. */
  readonly ended: Promise<RunEnd>;
  /** Settles when the agent starts to work, or when the run ends without that. */
  readonly begun: Promise<void>;
  end: RunEnd | undefined;
  /** The result of syncing the workspace. Undefined until the run has a workspace. */
  sync: SyncReport | undefined;
  /** Whether the agent has started to work. After that, repeating the request would cost a second run. */
  working = false;
  /** Why the log could not keep an event. The answer of its readers would lack it. */
  #notKept: ServiceError | undefined;
  readonly #abort = new AbortController();
  readonly #begun = Promise.withResolvers<void>();

  /** Starts the work at once. */
  constructor(id: string, log: Log, work: (context: RunContext) => Promise<Outcome>) {
    this.id = id;
    this.log = log;
    this.begun = this.#begun.promise;
    this.ended = this.#run(work);
  }

  /** Ends the run. Only the reason of the first call counts. */
  stop(reason: ServiceError): void {
    this.#abort.abort(reason);
  }

  /** The reason for which the run is being ended. Undefined if it is not, or if it has ended. */
  get stopping(): ServiceError | undefined {
    return this.end === undefined && this.#abort.signal.aborted ? this.#abort.signal.reason : undefined;
  }

  async #run(work: (context: RunContext) => Promise<Outcome>): Promise<RunEnd> {
    this.end = await this.#work(work);
    this.#begun.resolve();
    this.log.close();
    return this.end;
  }

  async #work(work: (context: RunContext) => Promise<Outcome>): Promise<RunEnd> {
    try {
      const outcome = await work({ signal: this.#abort.signal, emit: (event) => this.#emit(event) });
      if (this.#notKept) throw this.#notKept;
      return { state: 'succeeded', outcome };
    } catch (thrown) {
      return { state: 'failed', error: asServiceError(thrown) };
    }
  }

  #emit(event: RunEvent): void {
    if (event.type === 'workspace') this.sync = event.sync;
    if (event.type === 'working') {
      this.working = true;
      this.#begun.resolve();
    }
    try {
      this.log.append(event);
    } catch (error) {
      this.#notKept ??= asServiceError(error);
      this.stop(this.#notKept);
    }
  }
}
