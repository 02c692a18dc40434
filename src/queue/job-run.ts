/** One run of one job: from its claim to its end in the store. */
import { asServiceError, ServiceError } from '../errors.ts';
import type { AgentEvent, Outcome, SyncReport, Task, WorkspaceResult } from '../task.ts';
import { type Append, type EventBounds, EventLog } from './event-log.ts';
import type { JobEnd, JobEventBody, JobRecord } from './job.ts';
import type { Claim, JobStore } from './job-store.ts';
import { endOfError, endOfOutcome, storable, taskOf } from './job-task.ts';
import { persist } from './persist.ts';
import type { Run } from './runner.ts';
import { shortenEvent } from './shorten.ts';

export type RunTools = {
  /** Aborted with a `ServiceError`: `cancelled`, or `interrupted` when the server stops or another has taken the job. */
  signal: AbortSignal;
  onEvent(event: AgentEvent): void;
  onSync(report: SyncReport): void;
  /** Told once, before this settles, also when the run failed. */
  onWorkspace(result: WorkspaceResult): void;
  job: JobRecord;
};

/** The path of a task, for a job that has its place already. */
export type ExecuteJob = (task: Task, tools: RunTools) => Promise<Outcome>;

/** Of the text that a job writes, in characters. */
const maxOutput = 1_000_000;

export type JobRunOptions = {
  execute: ExecuteJob;
  /** How many times one job may be started. */
  maxAttempts: number;
  events: EventBounds;
};

export class JobRun implements Run {
  readonly claim: Claim;
  readonly #job: JobRecord;
  readonly #store: JobStore;
  readonly #maxAttempts: number;
  readonly #execute: ExecuteJob;
  readonly #log: EventLog;
  readonly #abort = new AbortController();
  readonly #abandoned = Promise.withResolvers<void>();
  #lost = false;
  #output = '';
  #sync: SyncReport | undefined;
  #workspace: WorkspaceResult | undefined;

  constructor(job: JobRecord, store: JobStore, options: JobRunOptions) {
    this.claim = { id: job.id, attempt: job.attempt };
    this.#job = job;
    this.#store = store;
    this.#maxAttempts = options.maxAttempts;
    this.#execute = options.execute;
    const append: Append = (lastSeq, events) => store.appendEvents(this.claim, lastSeq, events);
    this.#log = new EventLog(append, job.events, options.events, () => this.lose());
  }

  async run(): Promise<void> {
    let end: Omit<JobEnd, 'output'>;
    try {
      end = endOfOutcome(await this.#execute(taskOf(this.#job), this.#tools()));
    } catch (error) {
      end = endOfError(asServiceError(error));
    }
    if (this.#lost) return;
    await Promise.race([this.#log.close(), this.#abandoned.promise]);
    await persist(() => this.#write(end), this.#abandoned.promise);
  }

  cancel(): void {
    this.#abort.abort(new ServiceError('cancelled', 'The job was cancelled while it ran'));
  }

  /** The server stops: the run ends as the job's `onInterrupt` says. */
  interrupt(): void {
    this.#abort.abort(new ServiceError('interrupted', 'Cannot finish the job: the server was stopped'));
  }

  /** Another has this job now, or will have: nothing of this run counts any more. */
  lose(): void {
    this.#lost = true;
    this.#log.stop();
    this.#abort.abort(new ServiceError('interrupted', 'Cannot finish the job: it was given to another worker'));
  }

  /** The store is not coming back in time; whoever opens it next finds the job running and its worker gone. */
  abandon(): void {
    this.#log.stop();
    this.#abandoned.resolve();
  }

  #tools(): RunTools {
    return {
      signal: this.#abort.signal,
      job: this.#job,
      onEvent: (event) => this.#onEvent(event),
      onSync: (sync) => {
        this.#sync = sync;
        this.#log.add({ type: 'workspace', sync });
      },
      onWorkspace: (result) => {
        this.#workspace = result;
      },
    };
  }

  #onEvent(event: AgentEvent): void {
    const body: JobEventBody = { ...event };
    if (body.type === 'text' && this.#output.length < maxOutput) {
      this.#output += body.text.slice(0, maxOutput - this.#output.length);
    }
    this.#log.add(shortenEvent(body));
  }

  async #write(end: Omit<JobEnd, 'output'>): Promise<void> {
    const again = this.#job.onInterrupt === 'requeue' && this.claim.attempt < this.#maxAttempts;
    if (end.state === 'interrupted' && again) {
      await this.#store.handBack(this.claim);
      return;
    }
    const output = storable(this.#output || (end.result ?? ''));
    const work = this.#workspace && { ...this.#workspace, ...patchOf(this.#workspace) };
    await this.#store.finish(this.claim, {
      ...end,
      output,
      ...(this.#sync && { sync: this.#sync }),
      ...(work && { workspace: work }),
    });
  }
}

function patchOf(result: WorkspaceResult): { patch?: string } {
  return result.patch === undefined ? {} : { patch: storable(result.patch) };
}
