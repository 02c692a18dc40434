/** Finds the run that a repeated request means, so that no request starts an agent twice. */

import { invalid } from '../api/invalid.ts';
import type { ErrorCode } from '../errors.ts';
import type { SharedRun } from './shared-run.ts';

export type RequestMark = {
  /** Equal for requests that ask for the same in the same way: caller, door, what is followed, body. */
  digest: string;
  /** With the caller and the door, when the request carries an `Idempotency-Key`. */
  idempotencyKey: string | undefined;
  /** The client says itself that it has asked this before. */
  retry: boolean;
};

export type RepeatsOptions = {
  /** How long an ended run answers its repeats. */
  windowMs: number;
  /** How many ended runs are kept, and how many characters of theirs. */
  maxRuns?: number;
  maxSize?: number;
};

type Entry = {
  mark: RequestMark;
  run: SharedRun;
  expiry?: NodeJS.Timeout;
  /** Of a run that has ended: what it counts for in the bound. */
  size: number;
};

/** Nothing was spent on these, or nobody was told: asked again, the answer may well be another. */
const notRepeated: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  ...(['agent_busy', 'queue_full', 'wait_timeout', 'shutting_down', 'client_gone', 'cancelled'] as const),
  ...(['agent_not_started', 'not_signed_in', 'workspace_unavailable'] as const),
]);

export class Repeats {
  readonly #entries = new Map<string, Entry>();
  /** Those whose run has ended, the oldest end first, and how much they are together. */
  readonly #ended = new Map<string, Entry>();
  #size = 0;
  readonly #windowMs: number;
  readonly #maxRuns: number;
  readonly #maxSize: number;

  constructor({ windowMs, maxRuns = 500, maxSize = 16 * 1024 * 1024 }: RepeatsOptions) {
    this.#windowMs = windowMs;
    this.#maxRuns = maxRuns;
    this.#maxSize = maxSize;
  }

  /**
   * The run to join, or whose end to tell again; `undefined`: a new one is due. A run that ended well answers again
   * only where the first answer may not have arrived, or the key says so: people do ask the same thing twice.
   * Throws `invalid_request` when the key came before with another request.
   */
  find(mark: RequestMark): SharedRun | undefined {
    const entry = this.#entries.get(nameOf(mark));
    if (!entry) return undefined;
    if (entry.mark.digest !== mark.digest) {
      throw invalid('Idempotency-Key', 'came before with another request; a new request needs a new key');
    }
    const { run } = entry;
    if (run.stopping && notRepeated.has(run.stopping.code)) return undefined;
    if (run.end?.state === 'succeeded') {
      return mark.idempotencyKey !== undefined || mark.retry || !run.delivered ? run : undefined;
    }
    return run;
  }

  /** Remembers a new run for its repeats. */
  keep(mark: RequestMark, run: SharedRun): void {
    const name = nameOf(mark);
    const entry: Entry = { mark, run, size: 0 };
    // First away with an older one: the newest are at the end of the line.
    this.#forget(name, this.#entries.get(name));
    this.#entries.set(name, entry);
    void run.ended.then((end) => {
      if (end.state === 'failed' && notRepeated.has(end.error.code)) this.#forget(name, entry);
      if (this.#entries.get(name) !== entry) return;
      entry.expiry = setTimeout(() => this.#forget(name, entry), this.#windowMs);
      entry.expiry.unref();
      this.#ended.set(name, entry);
      this.#size += run.size;
      entry.size = run.size;
      this.#makeRoom();
    });
  }

  /** Those that have not ended. */
  running(): SharedRun[] {
    return [...this.#entries.values()].map((entry) => entry.run).filter((run) => !run.end);
  }

  /** Drops the oldest that have ended until the rest is within the bounds. */
  #makeRoom(): void {
    for (const [name, entry] of this.#ended) {
      if (this.#ended.size <= this.#maxRuns && this.#size <= this.#maxSize) return;
      this.#forget(name, entry);
    }
  }

  #forget(name: string, entry: Entry | undefined): void {
    // A timer would hold the run until it fires.
    clearTimeout(entry?.expiry);
    if (!entry || this.#entries.get(name) !== entry) return;
    this.#entries.delete(name);
    if (this.#ended.delete(name)) this.#size -= entry.size;
  }
}

function nameOf(mark: RequestMark): string {
  return mark.idempotencyKey === undefined ? `body ${mark.digest}` : `key ${mark.idempotencyKey}`;
}
