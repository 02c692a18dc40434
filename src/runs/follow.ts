/**
 * Follows a run: returns the events that are in its log, then each new event, once and in order. Every reader uses this
 * loop.
 */

export type Page<Event> = {
  events: Event[];
  /** The number of the last event in `events`. If `events` is empty, the number of the last event before. */
  last: number;
  /**
   * When there will be more. `now`: read again. `later`: wait, since the run goes on. `never`: these were the last
   * events.
   */
  more: 'now' | 'later' | 'never';
};

/** The events of one run, numbered from 1, in memory or in the store. */
export type EventLog<Event> = {
  /** Returns the events after number `after`. */
  read(after: number): Page<Event> | Promise<Page<Event>>;
  /** Calls `listener` whenever there may be more to read, until the returned function is called. */
  onMore(listener: () => void): () => void;
};

/**
 * Ends after the last event of the run, or when `signal` aborts. Events are read when the caller asks for them, so
 * nothing piles up for a slow caller.
 * @param after the number of the last event that the caller has, or 0
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
      // An `await` for each token of a stream would cost as much as the rest of this loop.
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
