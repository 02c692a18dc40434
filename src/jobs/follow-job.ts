/** Follows a job: what was recorded, then what is, each event once and in order. */

import { isEndState, type JobEvent } from '../store/job.ts';
import type { JobStore } from '../store/job-store.ts';
import { Bell } from '../store/notifications.ts';

const pageSize = 500;
/** A wake-up may be lost on its way from another process; then this is how late it is noticed. Milliseconds. */
const pollMs = 1000;

/** Ends after an event with an end state, when the job is removed, or when `signal` aborts. */
export async function* followJob(
  store: JobStore,
  id: string,
  options: { after: number; signal: AbortSignal },
): AsyncGenerator<JobEvent, void> {
  const bell = new Bell(store.notifications, `job:${id}`);
  const { signal } = options;
  let last = options.after;
  try {
    while (!signal.aborted) {
      const page = await store.events(id, last, pageSize);
      for (const event of page) {
        if (signal.aborted) return;
        last = event.seq;
        yield event;
        if (event.type === 'state' && isEndState(event.state)) return;
      }
      if (page.length === pageSize) continue;
      // A reader that begins after the last event finds none; nor does one whose job has been removed.
      const state = page.length === 0 ? await store.state(id) : 'running';
      if (state === undefined) return;
      if (isEndState(state) && (await store.events(id, last, 1)).length === 0) return;
      await bell.wait(pollMs, signal);
    }
  } finally {
    bell.close();
  }
}
