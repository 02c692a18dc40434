/** A run that this process has claimed from the store: it runs, and its end is written unless the claim was lost. */
import { once } from 'node:events';
import type { ServiceError } from '../errors.ts';
import { type Append, type EventBounds, LogWriter } from '../runs/log-writer.ts';
import { Run, type RunContext, type RunEnd } from '../runs/run.ts';
import type { Claim } from '../store/stored-run.ts';
import type { Outcome } from '../task.ts';
import { backoff } from '../waits.ts';

export type ClaimedWork = {
  claim: Claim;
  /** The number of its latest event, from an earlier attempt. */
  lastSeq: number;
  bounds: EventBounds;
  append: Append;
  /** The error that ends the run, by the cause. */
  reasons: Record<'cancelled' | 'stopping' | 'lost', ServiceError>;
  work(context: RunContext): Promise<Outcome>;
  /** Writes its end into the store; called again until it succeeds. */
  write(end: RunEnd): Promise<unknown>;
};

const firstRetryMs = 50;
const longestRetryMs = 5000;

export class ClaimedRun {
  readonly claim: Claim;
  /** Settles when the end of the run is in the store, or cannot be written by this process. Never rejects. */
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

  /** The server stops. */
  interrupt(): void {
    this.#run.stop(this.#reasons.stopping);
  }

  /** Another worker has it now, or will have it: nothing of this run counts any more. */
  lose(): void {
    this.#lost = true;
    this.#run.log.stop();
    this.#run.stop(this.#reasons.lost);
  }

  /** The store does not come back in time. The next process that opens it finds the run without a worker. */
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
