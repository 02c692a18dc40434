/** Follows a run: the events that are in its log, then each new one, once and in order. Every reader uses this loop. */

export type Page<Event> = {
  events: Event[];
  /** The number of the last of them, or of the last one before, if there are none. */
  last: number;
  /** `now`: there is more to read. `later`: the run goes on, so wait. `never`: these were the last events. */
  more: 'now' | 'later' | 'never';
};

/** The events of one run, numbered from 1, in memory or in the store. */
export type EventLog<Event> = {
  /** The events after number `after`. */
  read(after: number): Page<Event> | Promise<Page<Event>>;
  /** Calls `listener` whenever there may be more to read. The function that is returned ends that. */
  onMore(listener: () => void): () => void;
};

/**
 * Ends after the last event of the run, or when `signal` aborts. The next event is read when the caller asks for it, so a
 * slow caller holds nothing in memory.
 * @param after the number of the latest event that the caller has; 0: none
 */
export async function* follow<Event>(
  log: EventLog<Event>,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<Event, void> {
  let last = after;
  let notified = false;
  let wake = () => {};
  const notify = () => {
    notified = true;
    wake();
  };
  const stopListening = log.onMore(notify);
  signal.addEventListener('abort', notify, { once: true });
  try {
    while (!signal.aborted) {
      notified = false;
      const read = log.read(last);
      // For each token of a stream, waiting for what is there already would cost as much as the rest of this loop.
      const page = read instanceof Promise ? await read : read;
      for (const event of page.events) {
        if (signal.aborted) return;
        yield event;
      }
      last = page.last;
      if (page.more === 'never') return;
      if (page.more === 'now' || notified) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    stopListening();
    signal.removeEventListener('abort', notify);
  }
}
