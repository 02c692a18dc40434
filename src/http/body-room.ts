/**
 * Bounds the memory of the request bodies that are read at once. A body that does not fit waits: it is not read
 * meanwhile, so it takes no memory here.
 */
import { ServiceError } from '../errors.ts';
import type { Release } from '../releases.ts';
import type { Owner } from '../task.ts';

export type BodyRoomOptions = {
  /** How many bytes all bodies together may have. At least the largest body. */
  total: number;
  /** How many bytes the bodies of one owner may have, so that slow senders with one key do not stop all others. */
  perOwner: number;
  /** How long a body may wait, in milliseconds. */
  waitMs?: number;
};

type Waiting = { owner: Owner; bytes: number; enter(): void };

export class BodyRoom {
  readonly #options: Required<BodyRoomOptions>;
  readonly #taken = new Map<Owner, number>();
  readonly #waiting = new Set<Waiting>();
  #total = 0;

  constructor({ waitMs = 10_000, ...options }: BodyRoomOptions) {
    this.#options = { ...options, waitMs };
  }

  /** The bytes that are taken now. */
  get taken(): number {
    return this.#total;
  }

  /**
   * Takes room for a body, and returns a function that frees it; only its first call counts. Throws `too_many_bodies`
   * after the longest wait, or `client_gone` if `gone` aborts before.
   */
  async take(owner: Owner, bytes: number, gone: AbortSignal): Promise<Release> {
    if (gone.aborted) throw new ServiceError('client_gone');
    const { promise: entered, resolve: enter, reject } = Promise.withResolvers<void>();
    const waiting: Waiting = { owner, bytes, enter };
    // A body that waits no more must not be let in, because nobody would free its room.
    const leave = (error: ServiceError) => {
      if (this.#waiting.delete(waiting)) reject(error);
    };
    const late = setTimeout(() => leave(this.#full(owner)), this.#options.waitMs);
    const onGone = () => leave(new ServiceError('client_gone'));
    gone.addEventListener('abort', onGone, { once: true });
    this.#waiting.add(waiting);
    this.#admit();
    try {
      await entered;
    } finally {
      clearTimeout(late);
      gone.removeEventListener('abort', onGone);
    }
    let held = true;
    return () => {
      if (held) this.#add(owner, -bytes);
      held = false;
      this.#admit();
    };
  }

  #full(owner: Owner): ServiceError {
    const { total, perOwner } = this.#options;
    const own = this.#taken.get(owner) ?? 0;
    const state =
      own * 2 > perOwner
        ? `the large bodies of this key take ${own} bytes, the limit is ${perOwner}`
        : `all large bodies take ${this.#total} bytes, the limit is ${total}`;
    return new ServiceError('too_many_bodies', `Cannot read the request: ${state}`);
  }

  /** Lets in the bodies that fit, in the order in which they came. */
  #admit(): void {
    const { total, perOwner } = this.#options;
    for (const waiting of this.#waiting) {
      const { owner, bytes, enter } = waiting;
      const own = this.#taken.get(owner) ?? 0;
      if (own > 0 && own + bytes > perOwner) continue;
      if (this.#total > 0 && this.#total + bytes > total) return;
      this.#waiting.delete(waiting);
      this.#add(owner, bytes);
      enter();
    }
  }

  #add(owner: Owner, bytes: number): void {
    this.#total += bytes;
    const own = (this.#taken.get(owner) ?? 0) + bytes;
    if (own > 0) this.#taken.set(owner, own);
    else this.#taken.delete(owner);
  }
}
