/** A run: one turn of an agent. It appends events to its log and ends once, well or with an error. */
import { asServiceError, type ServiceError } from '../errors.ts';
import type { Outcome, RunEvent, SyncReport } from '../task.ts';

export type RunEnd = { state: 'succeeded'; outcome: Outcome } | { state: 'failed'; error: ServiceError };

/** What the work of a run is given. */
export type RunContext = {
  /** Aborted with a `ServiceError` when the run is to end. */
  signal: AbortSignal;
  /** Appends an event to the run's log. */
  emit(event: RunEvent): void;
};

/** The side of an event log that a run writes to. */
export type EventSink = {
  /** Throws a `ServiceError` when the run must end for it. */
  append(event: RunEvent): void;
  close(): void;
};

export class Run<Log extends EventSink = EventSink> {
  readonly id: string;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly createdAt = Date.now();
  /** Settles with the run; never rejects. */
  readonly ended: Promise<RunEnd>;
  /** Settles when the agent starts to work, or with the run. */
  readonly begun: Promise<void>;
  end: RunEnd | undefined;
  /** What became of the workspace's sync; `undefined` before the run has a workspace. */
  sync: SyncReport | undefined;
  /** The agent has started to work: from here on a repeat of the request would be a second run. */
  working = false;
  readonly #abort = new AbortController();
  readonly #begun = Promise.withResolvers<void>();

  /** Starts the work at once. */
  constructor(id: string, log: Log, work: (context: RunContext) => Promise<Outcome>) {
    this.id = id;
    this.log = log;
    this.begun = this.#begun.promise;
    this.ended = this.#run(work);
  }

  /** Ends the run; the first reason counts. */
  stop(reason: ServiceError): void {
    this.#abort.abort(reason);
  }

  /** Why it is being ended, while it is. */
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
      this.stop(asServiceError(error));
    }
  }
}
