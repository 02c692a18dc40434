/** Remembers whether the store can be used, from the results of its statements and transactions. */
import { ServiceError } from '../errors.ts';
import type { Database } from './database.ts';

export type HealthLog = {
  /** Called when the store cannot be used from now on. */
  failed(error: ServiceError): void;
  /** Called when the store can be used again, with how long it could not be used, in milliseconds. */
  works(ms: number): void;
};

/** Longer than a statement waits for a lock, and a writer of events waits between two attempts. */
const usualQuietMs = 8000;

type Part = 'read' | 'write';

export class StoreHealth {
  readonly #log: HealthLog;
  readonly #quietMs: number;
  /** The latest error of each part that fails. A full disk can be read but not written. */
  readonly #failing = new Map<Part, ServiceError>();
  #failingSinceMs = 0;
  #latestFailureMs = 0;

  /** @param quietMs how long nothing may have failed before a success counts, in milliseconds */
  constructor(log: HealthLog, quietMs = usualQuietMs) {
    this.#log = log;
    this.#quietMs = quietMs;
  }

  /** Why the store cannot be used. Undefined if its latest statements succeeded. */
  get problem(): ServiceError | undefined {
    return this.#failing.get('write') ?? this.#failing.get('read');
  }

  /** Returns the database, whose statements and transactions are observed from now on. */
  observe(database: Database): Database {
    return {
      query: (statement, values) => this.#observed('read', database.query(statement, values)),
      transaction: (durability, work) => this.#observed('write', database.transaction(durability, work)),
      close: () => database.close(),
    };
  }

  async #observed<T>(part: Part, work: Promise<T>): Promise<T> {
    try {
      const result = await work;
      this.#succeeded(part);
      return result;
    } catch (error) {
      if (error instanceof ServiceError && error.code === 'store_unavailable') this.#failed(part, error);
      throw error;
    }
  }

  #failed(part: Part, error: ServiceError): void {
    const isNew = this.#failing.size === 0;
    this.#failing.set(part, error);
    this.#latestFailureMs = performance.now();
    if (!isNew) return;
    this.#failingSinceMs = performance.now();
    this.#log.failed(error);
  }

  #succeeded(part: Part): void {
    if (this.#failing.size === 0) return;
    // A statement may succeed while others fail, for example because one table is locked.
    if (performance.now() - this.#latestFailureMs < this.#quietMs) return;
    this.#failing.delete(part);
    // A successful write shows that reading works too.
    if (part === 'write') this.#failing.delete('read');
    if (this.#failing.size === 0) this.#log.works(performance.now() - this.#failingSinceMs);
  }
}
