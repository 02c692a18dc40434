/** Finds the run that a repeated request asks for, so that no request starts an agent twice. */
import { type ErrorCode, invalidField, ServiceError } from '../errors.ts';
import type { Audience } from './audience.ts';

export type RequestMark = {
  /** Equal for requests that ask for the same in the same way: key, API, wanted events, body. */
  digest: string;
  /** With the key and the API, when the request carries an `Idempotency-Key`. */
  idempotencyKey: string | undefined;
  /** The client says that it repeats a request. */
  retry: boolean;
};

export type RepeatsOptions = {
  /** How long an ended run answers its repeats. Milliseconds. */
  windowMs: number;
  /** How many ended runs are kept, and how many characters of them. */
  maxRuns?: number;
  maxSize?: number;
};

type Entry = {
  mark: RequestMark;
  audience: Audience;
  expiry?: NodeJS.Timeout;
  /** What it counts for in the bound, once the run has ended. */
  size: number;
};

/** Errors that cost nothing, or that no client has read. A repeat of the request may well succeed. */
const notRepeated: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  ...(['agent_busy', 'queue_full', 'wait_timeout', 'shutting_down', 'client_gone', 'cancelled'] as const),
  ...(['agent_not_started', 'not_signed_in', 'workspace_unavailable'] as const),
]);

export class Repeats {
  readonly #entries = new Map<string, Entry>();
  /** Those whose run has ended, the oldest end first, and their size together. */
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
   * The run to join, or to answer from once more; `undefined`: the request starts a new run. A run that ended well
   * answers a second request only if the first answer may not have arrived, or if the request says that it is a repeat:
   * people do ask the same question twice. Throws `invalid_request` when the key was used with another request.
   */
  find(mark: RequestMark): Audience | undefined {
    const entry = this.#entries.get(nameOf(mark));
    if (!entry) return undefined;
    if (entry.mark.digest !== mark.digest) {
      throw invalidField('Idempotency-Key', 'came before with another request; a new request needs a new key');
    }
    const { audience } = entry;
    const { stopping, end } = audience.run;
    if (stopping && notRepeated.has(stopping.code)) return undefined;
    if (end?.state === 'succeeded') {
      return mark.idempotencyKey !== undefined || mark.retry || !audience.delivered ? audience : undefined;
    }
    return audience;
  }

  /** Remembers a new run for its repeats. */
  keep(mark: RequestMark, audience: Audience): void {
    const name = nameOf(mark);
    const entry: Entry = { mark, audience, size: 0 };
    // An older one goes first: the newest are at the end of the map.
    this.#forget(name, this.#entries.get(name));
    this.#entries.set(name, entry);
    void audience.run.ended.then((end) => {
      if (end.state === 'failed' && notRepeated.has(end.error.code)) this.#forget(name, entry);
      if (this.#entries.get(name) !== entry) return;
      entry.expiry = setTimeout(() => this.#forget(name, entry), this.#windowMs);
      entry.expiry.unref();
      this.#ended.set(name, entry);
      entry.size = audience.size;
      this.#size += entry.size;
      this.#makeRoom();
    });
  }

  /** Ends every run that goes on, because the server stops. Settles when all have ended. */
  async stopAll(): Promise<void> {
    const running = [...this.#entries.values()].map(({ audience }) => audience.run).filter((run) => !run.end);
    for (const run of running) {
      // A client may retry only what has not begun.
      run.stop(
        run.working
          ? new ServiceError('interrupted', 'Cannot finish the run: the server is stopping')
          : new ServiceError('shutting_down'),
      );
    }
    await Promise.all(running.map((run) => run.ended));
  }

  /** Forgets the oldest that have ended until the rest is within the bounds. */
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
