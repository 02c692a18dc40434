/**
 * Checks in threads whether schemas can be compiled. An owner has at most one thread, and owners are served in
 * rotation. So an owner's slow schemas delay mainly its own checks. Another owner waits at most 2 s for each owner
 * ahead of it.
 */
import { hash } from 'node:crypto';
import { ServiceError } from '../../errors.ts';
import type { Owner } from '../../task.ts';
import { CompilerThread, type ThreadLimits, type Verdict } from './compiler-thread.ts';

export type SchemaCheckOptions = ThreadLimits & {
  threads: number;
  /** How many schemas of one key may wait. */
  maxWaiting: number;
  /** For how many schemas the result is remembered. */
  maxKnown: number;
};

const usual: SchemaCheckOptions = { compileMs: 2000, idleMs: 30_000, threads: 2, maxWaiting: 32, maxKnown: 256 };

type Waiting = { json: string; settle(verdict: Verdict): void; fail(error: unknown): void };

export class SchemaCheck {
  readonly #options: SchemaCheckOptions;
  readonly #threads: CompilerThread[];
  readonly #free: CompilerThread[];
  /**
   * The waiting schemas, by owner, in the order in which owners are served. No list is empty. An owner that has a
   * thread is skipped.
   */
  readonly #waiting = new Map<Owner, Waiting[]>();
  readonly #served = new Set<Owner>();
  /** The known results. The newest is the last. */
  readonly #known = new Map<string, Verdict>();
  #closed = false;

  constructor(options: Partial<SchemaCheckOptions> = {}) {
    this.#options = { ...usual, ...options };
    this.#threads = Array.from({ length: this.#options.threads }, () => new CompilerThread(this.#options));
    this.#free = [...this.#threads];
  }

  /**
   * @param json the schema
   * @returns why it cannot be used, as the end of a sentence; `undefined`: it can be used
   * Throws `schemas_waiting`, `shutting_down`, or `client_gone` when `signal` aborts.
   */
  async problemOf(owner: Owner, json: string, signal: AbortSignal): Promise<string | undefined> {
    const name = hash('sha256', `${owner} ${json}`, 'base64');
    const known = this.#known.get(name);
    const verdict = known ?? (await this.#compiled(owner, json, signal));
    if (verdict.final) this.#remember(name, verdict);
    return verdict.problem;
  }

  /** Ends the threads. Schemas that wait fail with `shutting_down`. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { fail } of [...this.#waiting.values()].flat()) fail(stopping());
    this.#waiting.clear();
    for (const thread of this.#threads) thread.end();
    await Promise.all(this.#threads.map((thread) => thread.ended));
  }

  async #compiled(owner: Owner, json: string, signal: AbortSignal): Promise<Verdict> {
    const line = this.#waiting.get(owner) ?? [];
    const { maxWaiting } = this.#options;
    if (this.#closed) throw stopping();
    if (signal.aborted) throw clientGone();
    if (line.length >= maxWaiting) {
      const why = `${line.length} of this key wait; the limit is ${maxWaiting}`;
      throw new ServiceError('schemas_waiting', `Cannot check the schema: ${why}`);
    }
    const { promise, resolve, reject } = Promise.withResolvers<Verdict>();
    const waiting = { json, settle: resolve, fail: reject };
    const leave = () => {
      this.#withdraw(owner, waiting);
      reject(clientGone());
    };
    signal.addEventListener('abort', leave, { once: true });
    this.#waiting.set(owner, [...line, waiting]);
    this.#serve();
    return promise.finally(() => signal.removeEventListener('abort', leave));
  }

  #serve(): void {
    for (const [owner, line] of this.#waiting) {
      if (this.#served.has(owner)) continue;
      const thread = this.#free.pop();
      if (!thread) return;
      const [next, ...rest] = line as [Waiting, ...Waiting[]];
      this.#setLine(owner, rest);
      this.#served.add(owner);
      void this.#compile(thread, next).then(() => {
        this.#served.delete(owner);
        this.#free.push(thread);
        // The owner is served again after all other owners.
        const later = this.#waiting.get(owner) ?? [];
        this.#waiting.delete(owner);
        this.#setLine(owner, later);
        this.#serve();
      });
    }
  }

  #setLine(owner: Owner, line: Waiting[]): void {
    if (line.length > 0) this.#waiting.set(owner, line);
    else this.#waiting.delete(owner);
  }

  /** Compiles a schema. Settles when the thread is free again, which may be after the result. */
  async #compile(thread: CompilerThread, { json, settle, fail }: Waiting): Promise<void> {
    await thread.compile(json).then(settle, (error) => fail(this.#closed ? stopping() : error));
    await thread.ended;
  }

  #withdraw(owner: Owner, waiting: Waiting): void {
    const line = this.#waiting.get(owner) ?? [];
    this.#setLine(
      owner,
      line.filter((other) => other !== waiting),
    );
  }

  #remember(name: string, verdict: Verdict): void {
    this.#known.delete(name);
    this.#known.set(name, verdict);
    const [oldest] = this.#known.keys();
    if (this.#known.size > this.#options.maxKnown && oldest !== undefined) this.#known.delete(oldest);
  }
}

function clientGone(): ServiceError {
  return new ServiceError('client_gone');
}

function stopping(): ServiceError {
  return new ServiceError('shutting_down');
}
