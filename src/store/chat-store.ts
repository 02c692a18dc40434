/**
 * The interface of the store for chat requests that any machine may run. A request is stored while its client waits.
 */
import type { ServiceError } from '../errors.ts';
import type { Outcome, Task } from '../task.ts';
import type { Claim, NewEvent } from './stored-run.ts';

export type ChatEnd =
  | { outcome: Outcome }
  | { failure: { code: ServiceError['code']; message: string; extra: Omit<ServiceError['extra'], 'cause'> } };

/** `events` is the number of the request's latest event. */
export type ChatClaim = Claim & { lastSeq: number; task: Task };

export type ChatStore = {
  /**
   * Adds a task, which waits for a slot on any machine and then runs there. Returns the id of the request. The request
   * ends unless `renew` is called again within every `leaseMs` milliseconds. Throws `queue_full`.
   */
  submit(task: Task, limits: { maxWaiting: number; leaseMs: number }): Promise<string>;
  /** Renews the lease of a request, so that the lease ends `leaseMs` milliseconds from now. */
  renew(id: string, leaseMs: number): Promise<void>;
  /** Cancels the request if it still waits. Returns `false` if it no longer waits. */
  withdraw(id: string): Promise<boolean>;
  /** Cancels the request, whether it waits or runs. */
  cancel(id: string): Promise<void>;
  /** Returns how the request ended. Returns `undefined` if it has not ended yet. */
  end(id: string): Promise<ChatEnd | undefined>;
  /** Removes the request and its events. */
  forget(id: string): Promise<void>;

  /** Returns the next request, which now runs on this worker. Returns `undefined` if no request waits. */
  claim(): Promise<ChatClaim | undefined>;
  /** Does the same as `JobStore.appendEvents`. */
  appendEvents(claim: Claim, lastSeq: number, events: NewEvent[]): Promise<boolean>;
  /**
   * Records how the request ended. Returns `false`, and writes nothing, if the claim is not the request's latest claim.
   */
  finish(claim: Claim, end: ChatEnd): Promise<boolean>;
  /**
   * Lets a claimed request wait again if its run has not begun. Returns `false` if the claim is not the latest, or if
   * the request is to be cancelled.
   */
  requeue(claim: Claim): Promise<boolean>;
};
