/** Chat requests that any machine may run: what lies in the store for as long as a client waits for the answer. */
import type { ServiceError } from '../errors.ts';
import type { Outcome, Task } from '../task.ts';
import type { Claim, NewEvent } from './job-store.ts';

export type ChatEnd =
  | { outcome: Outcome }
  | { failure: { code: ServiceError['code']; message: string; extra: Omit<ServiceError['extra'], 'cause'> } };

export type ChatClaim = Claim & { events: number; task: Task };

export type ChatStore = {
  /**
   * Lets the task wait for a place on any machine, and run there, for as long as `keep` is called before each `leaseMs`
   * is over. Throws `queue_full`.
   */
  submit(task: Task, limits: { maxWaiting: number; leaseMs: number }): Promise<string>;
  keep(id: string, leaseMs: number): Promise<void>;
  /** Takes it back if it still waits; `false`: it does not. */
  withdraw(id: string): Promise<boolean>;
  /** Its client is gone: it is to end, whether it waits or runs. */
  cancel(id: string): Promise<void>;
  /** `undefined`: it has not ended. */
  end(id: string): Promise<ChatEnd | undefined>;
  /** Removes it with all that is its own. */
  forget(id: string): Promise<void>;

  claim(): Promise<ChatClaim | undefined>;
  /** As of a job. */
  appendEvents(claim: Claim, lastSeq: number, events: NewEvent[]): Promise<boolean>;
  /** `false`: not the caller's any more, and nothing was written. */
  finish(claim: Claim, end: ChatEnd): Promise<boolean>;
  /** Lets it wait again, without ever having begun. `false`: not the caller's any more. */
  requeue(claim: Claim): Promise<boolean>;
};
