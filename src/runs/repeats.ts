/** Finds the run that a repeated request asks for, so that no request starts an agent twice. */
import { type ErrorCode, invalidField, type ServiceError } from '../errors.ts';
import type { Audience } from './audience.ts';
import { shutdownError } from './run.ts';

export type RequestMark = {
  /** The same for requests with the same key, API, wanted events and body. */
  digest: string;
  /** The API key and the API of the request, and how many bytes its body has. */
  scope: string;
  bytes: number;
  /** The request's `Idempotency-Key` with its API key and API. Undefined if the request has no such header. */
  idempotencyKey: string | undefined;
  /** Whether the client says that it repeats a request. */
  retry: boolean;
};

export type RepeatsOptions = {
  /** How long an ended run answers its repeats, in milliseconds. */
  windowMs: number;
  /** The most ended runs that are kept, and `maxSize` the most characters of them. */
  maxRuns?: number;
  maxSize?: number;
};

type Entry = {
  mark: RequestMark;
  audience: Audience;
  expiry?: NodeJS.Timeout;
  /** The characters that count for `maxSize`. 0 until the run has ended. */
  size: number;
};

/** Errors that no client has read, or that the operator can change. */
const notRemembered: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  ...(['client_gone', 'cancelled'] as const),
  ...(['model_unknown', 'blocked_by_hook', 'agent_unknown'] as const),
]);

/** Returns whether a repeat of a request that ended with this error starts a new run. */
function startsAnew(error: ServiceError): boolean {
  return error.goesAway || notRemembered.has(error.code);
}

export class Repeats {
  readonly #entries = new Map<string, Entry>();
  /** The entries whose run has ended, in the order of their ends. */
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
   * Returns the run to join, or the ended run that answers again. Returns `undefined` if the request must start a new
   * run. A run that ended well answers a second request only if the first answer may not have arrived, or if the
   * request says that it is a repeat, because people do ask the same question twice. Throws `invalid_request` if the
   * idempotency key was used with another request.
   */
  find(mark: RequestMark): Audience | undefined {
    const entry = this.#entries.get(nameOf(mark));
    if (!entry) return undefined;
    if (entry.mark.digest !== mark.digest) {
      throw invalidField('Idempotency-Key', 'came before with another request; a new request needs a new key');
    }
    const { audience } = entry;
    const { stopping, end } = audience.run;
    if (stopping && startsAnew(stopping)) return undefined;
    if (end?.state === 'succeeded') {
      return mark.idempotencyKey !== undefined || mark.retry || !audience.delivered ? audience : undefined;
    }
    return audience;
  }

  /**
   * Returns whether a request may be a repeat, before its body is read. `bytes` is the length of the body; undefined if
   * it is not known.
   */
  mayFind({
    scope,
    bytes,
    idempotencyKey,
  }: Pick<RequestMark, 'scope' | 'idempotencyKey'> & { bytes: number | undefined }): boolean {
    for (const { mark } of this.#entries.values()) {
      if (mark.scope !== scope) continue;
      if (bytes === undefined || mark.bytes === bytes) return true;
      if (idempotencyKey !== undefined && mark.idempotencyKey === idempotencyKey) return true;
    }
    return false;
  }

  /** Remembers a new run for its repeats. */
  remember(mark: RequestMark, audience: Audience): void {
    const name = nameOf(mark);
    const entry: Entry = { mark, audience, size: 0 };
    // The old entry is removed first, so that the new one is at the end of the map.
    this.#forget(name, this.#entries.get(name));
    this.#entries.set(name, entry);
    void audience.run.ended.then((end) => {
      if (end.state === 'failed' && startsAnew(end.error)) this.#forget(name, entry);
      if (this.#entries.get(name) !== entry) return;
      entry.expiry = setTimeout(() => this.#forget(name, entry), this.#windowMs);
      entry.expiry.unref();
      this.#ended.set(name, entry);
      entry.size = audience.size;
      this.#size += entry.size;
      this.#makeRoom();
    });
  }

  /** Ends every current run because the server stops. Settles when all of them have ended. */
  async stopAll(): Promise<void> {
    const running = [...this.#entries.values()].map(({ audience }) => audience.run).filter((run) => !run.end);
    for (const run of running) run.stop(shutdownError(run.working));
    await Promise.all(running.map((run) => run.ended));
  }

  /** Forgets the oldest ended runs until the others are within the limits. */
  #makeRoom(): void {
    for (const [name, entry] of this.#ended) {
      if (this.#ended.size <= this.#maxRuns && this.#size <= this.#maxSize) return;
      this.#forget(name, entry);
    }
  }

  #forget(name: string, entry: Entry | undefined): void {
    // The timer would keep the run in memory until it fires.
    clearTimeout(entry?.expiry);
    if (!entry || this.#entries.get(name) !== entry) return;
    this.#entries.delete(name);
    if (this.#ended.delete(name)) this.#size -= entry.size;
  }
}

function nameOf(mark: RequestMark): string {
  return mark.idempotencyKey === undefined ? `body ${mark.digest}` : `key ${mark.idempotencyKey}`;
}
