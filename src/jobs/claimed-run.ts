/** A run that this process has claimed from the store. Its end is written to the store, unless the claim was lost. */
import { once } from 'node:events';
import type { ServiceError } from '../errors.ts';
import { type Append, type EventBounds, LogWriter } from '../runs/log-writer.ts';
import { Run, type RunContext, type RunEnd } from '../runs/run.ts';
import type { Claim } from '../store/stored-run.ts';
import type { Outcome } from '../task.ts';
import { backoff } from '../waits.ts';

export type ClaimedWork = {
  claim: Claim;
  /** The number of the run's latest event, from an earlier attempt. */
  lastSeq: number;
  bounds: EventBounds;
  append: Append;
  /** The errors with which the run is ended. `working`: see `Run`. */
  reasons: Record<'cancelled' | 'lost', ServiceError> & { stopping(working: boolean): ServiceError };
  work(context: RunContext): Promise<Outcome>;
  /** Writes the end of the run into the store. It is called again until it succeeds. */
  write(end: RunEnd): Promise<unknown>;
};

const firstRetryMs = 50;
const longestRetryMs = 5000;

export class ClaimedRun {
  readonly claim: Claim;
  /** Settles when the end of the run is in the store, or when this process cannot write it any more. Never rejects. */
  readonly written: Promise<void>;
  readonly #run: Run<LogWriter>;
  readonly #reasons: ClaimedWork['reasons'];
  readonly #abandoned = new AbortController();
  #lost = false;

  /** Starts the work at once. */
  constructor({ claim, lastSeq, bounds, append, reasons, work, write }: ClaimedWork) {
    this.claim = claim;
    this.#reasons = reasons;
    const log = new LogWriter(append, lastSeq, bounds, () => this.lose());
    this.#run = new Run(claim.id, log, work);
    this.written = this.#write(write);
  }

  cancel(): void {
    this.#run.stop(this.#reasons.cancelled);
  }

  /** Ends the run because the server stops. */
  interrupt(): void {
    this.#run.stop(this.#reasons.stopping(this.#run.working));
  }

  /** Ends the run because the claim was lost: another worker has the run, or will have it. The end is not written. */
  lose(): void {
    this.#lost = true;
    this.#run.log.stop();
    this.#run.stop(this.#reasons.lost);
  }

  /**
   * Gives up writing the end because the store stays unreachable. The next process that opens the store recovers the
   * run.
   */
  abandon(): void {
    this.#run.log.stop();
    this.#abandoned.abort();
  }

  async #write(write: ClaimedWork['write']): Promise<void> {
    const end = await this.#run.ended;
    if (this.#lost) return;
    const { signal } = this.#abandoned;
    if (!signal.aborted) await Promise.race([this.#run.log.close(), once(signal, 'abort')]);
    const retry = backoff({ firstMs: firstRetryMs, longestMs: longestRetryMs });
    while (!signal.aborted) {
      try {
        await write(end);
        return;
      } catch {
        await retry.wait(signal);
      }
    }
  }
}
