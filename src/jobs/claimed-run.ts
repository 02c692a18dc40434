/** A run that this process holds a claim to: worked on, written down, and its end in the store unless the claim is lost. */
import type { ServiceError } from '../errors.ts';
import type { Claim } from '../store/job-store.ts';
import type { Run } from './dispatcher.ts';
import { persist } from './persist.ts';
import { type Append, type EventBounds, EventLog } from './stored-log.ts';

export type ClaimedWork<End> = {
  claim: Claim;
  /** The number of its latest event, from an earlier attempt. */
  lastSeq: number;
  bounds: EventBounds;
  append: Append;
  /** With what its work is aborted, by the cause. */
  reasons: Record<'cancelled' | 'stopping' | 'lost', ServiceError>;
  /** Answers its end, a bad one too: never rejects. */
  work(signal: AbortSignal, log: EventLog): Promise<End>;
  /** Writes its end into the store; tried again until that has taken it. */
  write(end: End): Promise<unknown>;
};

export class ClaimedRun<End> implements Run {
  readonly #options: ClaimedWork<End>;
  readonly #log: EventLog;
  readonly #abort = new AbortController();
  readonly #abandoned = Promise.withResolvers<void>();
  #lost = false;

  constructor(options: ClaimedWork<End>) {
    this.#options = options;
    this.#log = new EventLog(options.append, options.lastSeq, options.bounds, () => this.lose());
  }

  get claim(): Claim {
    return this.#options.claim;
  }

  async run(): Promise<void> {
    const end = await this.#options.work(this.#abort.signal, this.#log);
    if (this.#lost) return;
    await Promise.race([this.#log.close(), this.#abandoned.promise]);
    await persist(() => this.#options.write(end), this.#abandoned.promise);
  }

  cancel(): void {
    this.#abort.abort(this.#options.reasons.cancelled);
  }

  interrupt(): void {
    this.#abort.abort(this.#options.reasons.stopping);
  }

  lose(): void {
    this.#lost = true;
    this.#log.stop();
    this.#abort.abort(this.#options.reasons.lost);
  }

  /** Whoever opens the store next finds it running and its worker gone. */
  abandon(): void {
    this.#log.stop();
    this.#abandoned.resolve();
  }
}
