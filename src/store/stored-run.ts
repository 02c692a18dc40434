/** The types that jobs and chat requests in the store share: kind, claim and new event. */
import type { StoredEventBody } from './job.ts';

/** A chat request is in the store only while it waits for a slot on any machine, runs there, and its client waits for it. */
export type RunKind = 'job' | 'chat';

/** A worker's right to a run that it has taken from the store. A claim that is not the latest of its run changes nothing. */
export type Claim = {
  id: string;
  /** Counts the claims of this run, from 1. */
  attempt: number;
};

/** An event that has no number yet. `at`: milliseconds since 1970. */
export type NewEvent = { at: number; body: StoredEventBody };
