/** The types that jobs and chat requests in the store share: the kind of a run, a worker's claim, and a new event. */
import type { StoredEventBody } from './job.ts';

/**
 * The kind of a stored run. A chat request is stored only while it waits or runs, and while its client waits for the
 * answer.
 */
export type RunKind = 'job' | 'chat';

/** A worker's right to change a run that it has taken from the store. Only the latest claim of a run can change it. */
export type Claim = {
  id: string;
  /** The number of this claim among the run's claims, counted from 1. */
  attempt: number;
};

/** An event that has no number yet. `at` is the time in milliseconds since 1970. */
export type NewEvent = { at: number; body: StoredEventBody };
