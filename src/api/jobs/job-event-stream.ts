/** Streams the events of a job: past events first, then each new event, until the job ends. */
import type { FastifyReply } from 'fastify';
import { jsonLine, sendFrames } from '../../http/sse.ts';
import type { Jobs } from '../../jobs/jobs.ts';
import type { StoredEvent } from '../../store/job.ts';

export type EventJson = ReturnType<typeof renderEvent>;

/** Jobs have no event `working`: their state `running` says the same. */
type PublicEvent = Exclude<StoredEvent, { type: 'working' }>;

/** Renders an event with the names of the API. The event's number is the `id` of its frame. */
function renderEvent({ seq: _, at, ...event }: PublicEvent) {
  const time = new Date(at).toISOString();
  switch (event.type) {
    case 'state': {
      const { type, state, attempt, error, costUsd, turns } = event;
      const spent = { cost_usd: costUsd ?? null, num_turns: turns ?? null };
      return { type, at: time, status: state, attempt, error: error ?? null, ...spent };
    }
    case 'started':
      return { type: event.type, at: time, session_id: event.sessionId, model: event.model };
    case 'tool_result':
      return { type: event.type, at: time, id: event.id, is_error: event.isError, text: event.text };
    case 'retry': {
      const { type, attempt, maxAttempts, delayMs, status } = event;
      const next = { max_attempts: maxAttempts, delay_seconds: delayMs / 1000 };
      return { type, at: time, attempt, ...next, status: status ?? null };
    }
    case 'tool_progress':
      return { type: event.type, at: time, id: event.id, name: event.name, elapsed_seconds: event.seconds };
    case 'denied':
      return { type: event.type, at: time, id: event.id, tool: event.tool, reason: event.reason ?? null };
    case 'text_dropped':
      return { type: event.type, at: time, length: event.length };
    case 'cost':
      return { type: event.type, at: time, cost_usd: event.costUsd };
    case 'text':
    case 'thinking':
    case 'tool_call':
    case 'workspace':
    case 'events_full':
      return { at: time, ...event };
  }
}

function frameOf(event: PublicEvent): string {
  return `id: ${event.seq}\nevent: ${event.type}\ndata: ${jsonLine(renderEvent(event))}\n\n`;
}

/** Tells a browser to reconnect 1 s after the connection has dropped. */
const reconnectSoon = 'retry: 1000\n\n';

/** Settings, with the names that they have in the configuration. */
export type EventStreamSettings = { streamKeepAliveSeconds: number; slowReaderSeconds: number };

/** The open event streams. All of them end when the server stops. */
export class JobEventStreams {
  readonly #jobs: Pick<Jobs, 'events'>;
  readonly #settings: EventStreamSettings;
  readonly #stopping = new AbortController();

  constructor(jobs: Pick<Jobs, 'events'>, settings: EventStreamSettings) {
    this.#jobs = jobs;
    this.#settings = settings;
  }

  /** Ends all streams. A reader that lacks the last events gets them when it reconnects. */
  endAll(): void {
    this.#stopping.abort();
  }

  /**
   * Sends the events. Settles when the stream has ended or its reader has gone. If reading the events fails, cuts off
   * the reader and throws the error.
   */
  send(reply: FastifyReply, id: string, after: number): Promise<void> {
    const { streamKeepAliveSeconds, slowReaderSeconds } = this.#settings;
    return sendFrames(reply, (gone) => this.#frames(id, after, gone), {
      silence: { frame: ': keep-alive\n\n', everyMs: streamKeepAliveSeconds * 1000 },
      slowReaderMs: slowReaderSeconds * 1000,
    });
  }

  async *#frames(id: string, after: number, gone: AbortSignal): AsyncGenerator<string, void> {
    yield reconnectSoon;
    const signal = AbortSignal.any([gone, this.#stopping.signal]);
    for await (const event of this.#jobs.events(id, { after, signal })) {
      if (event.type !== 'working') yield frameOf(event);
    }
  }
}
