/** Reads the event log of a run from the store. */
import { isEndState, type StoredEvent } from '../store/job.ts';
import type { JobStore } from '../store/job-store.ts';
import type { EventLog, Page } from './follow.ts';

const pageSize = 500;
/** How often a reader looks for events, in milliseconds, since notifications from other processes can be lost. */
const pollMs = 1000;

export type LogStore = Pick<JobStore, 'events' | 'state' | 'notifications'>;

export function storedLog(store: LogStore, id: string): EventLog<StoredEvent> {
  return {
    async read(after) {
      const page = await readPage(store, id, after);
      if (page.events.length > 0 || page.more === 'never') return page;
      // There are no events after the last one, and none of a run that was removed.
      const state = await store.state(id);
      if (state === undefined) return { ...page, more: 'never' };
      if (!isEndState(state)) return page;
      // The run may have ended after its events were read.
      const rest = await readPage(store, id, after);
      return rest.more === 'now' ? rest : { ...rest, more: 'never' };
    },
    onMore(listener) {
      const stopListening = store.notifications.on(`job:${id}`, listener);
      const poll = setInterval(listener, pollMs);
      return () => {
        stopListening();
        clearInterval(poll);
      };
    },
  };
}

async function readPage(store: LogStore, id: string, after: number): Promise<Page<StoredEvent>> {
  const events = await store.events(id, after, pageSize);
  const last = events.at(-1);
  const read = { events, last: last?.seq ?? after };
  if (last?.type === 'state' && isEndState(last.state)) return { ...read, more: 'never' };
  return { ...read, more: events.length === pageSize ? 'now' : 'later' };
}
