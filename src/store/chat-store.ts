/** The store of chat requests that any machine may run. A request is in it for as long as its client waits. */
import type { ServiceError } from '../errors.ts';
import type { Outcome, Task } from '../task.ts';
import type { Claim, NewEvent } from './stored-run.ts';

export type ChatEnd =
  | { outcome: Outcome }
  | { failure: { code: ServiceError['code']; message: string; extra: Omit<ServiceError['extra'], 'cause'> } };

/** `events`: the number of the latest event. */
export type ChatClaim = Claim & { events: number; task: Task };

export type ChatStore = {
  /**
   * Lets the task wait for a slot on any machine and run there. Returns the id of the request. The request ends unless
   * `keep` is called again within each `leaseMs` milliseconds. Throws `queue_full`.
   */
  submit(task: Task, limits: { maxWaiting: number; leaseMs: number }): Promise<string>;
  /** Renews the lease of a request. */
  keep(id: string, leaseMs: number): Promise<void>;
  /** Cancels the request if it still waits; `false`: it does not wait any more. */
  withdraw(id: string): Promise<boolean>;
  /** Cancels the request, whether it waits or runs. */
  cancel(id: string): Promise<void>;
  /** `undefined`: it has not ended. */
  end(id: string): Promise<ChatEnd | undefined>;
  /** Removes the request and its events. */
  forget(id: string): Promise<void>;

  /** The next request, which now runs on this worker; `undefined`: none waits. */
  claim(): Promise<ChatClaim | undefined>;
  /** As `JobStore.appendEvents`. */
  appendEvents(claim: Claim, lastSeq: number, events: NewEvent[]): Promise<boolean>;
  /** `false`: the claim is not the latest, and nothing was written. */
  finish(claim: Claim, end: ChatEnd): Promise<boolean>;
  /** Lets a request wait again whose run has not begun. `false`: the claim is not the latest. */
  requeue(claim: Claim): Promise<boolean>;
};
