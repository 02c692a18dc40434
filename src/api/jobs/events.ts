/** The events of a job as a stream: past ones first, then each as it happens, until the job ends. */
import type { FastifyReply } from 'fastify';
import { watchAnswer } from '../../http/client-gone.ts';
import type { HttpSettings, JobDesk } from '../../http/deps.ts';
import { openEventStream } from '../../http/sse.ts';
import type { JobEvent } from '../../store/job.ts';
import { jsonLine } from '../json-line.ts';

export type EventJson = ReturnType<typeof renderEvent>;

/** An event in the names of the API. Its number is the `id` of its frame. */
function renderEvent({ seq: _, at, ...event }: JobEvent) {
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

function frameOf(event: JobEvent): string {
  return `id: ${event.seq}\nevent: ${event.type}\ndata: ${jsonLine(renderEvent(event))}\n\n`;
}

/** How soon a reader in a browser is to come back when the connection drops. */
const comeBack = 'retry: 1000\n\n';

export type EventStreamRequest = { id: string; after: number; reply: FastifyReply };

/** The streams that are open, for all of them to be ended when the server stops. */
export class JobEventStreams {
  readonly #jobs: JobDesk;
  readonly #settings: HttpSettings;
  readonly #open = new Set<AbortController>();

  constructor(jobs: JobDesk, settings: HttpSettings) {
    this.#jobs = jobs;
    this.#settings = settings;
  }

  /** A reader that has none of the last events comes back, and finds them. */
  endAll(): void {
    for (const stream of this.#open) stream.abort();
  }

  /** Settles when the stream has ended, or its reader has gone. Throws what broke it; the reader is cut off then. */
  async send({ id, after, reply }: EventStreamRequest): Promise<void> {
    const stop = new AbortController();
    this.#open.add(stop);
    const reader = { gone: false };
    const left = () => {
      reader.gone = true;
      stop.abort();
    };
    watchAnswer(reply, { delivered: left, gone: left });
    let resume = () => {};
    stop.signal.addEventListener('abort', () => resume(), { once: true });
    const { streamKeepAliveSeconds, slowReaderSeconds } = this.#settings;
    const stream = openEventStream(reply, {
      keepAlive: { frame: ': keep-alive\n\n', everyMs: streamKeepAliveSeconds * 1000 },
      slowReaderMs: slowReaderSeconds * 1000,
      onDrain: () => resume(),
    });
    try {
      stream.send(comeBack);
      for await (const event of this.#jobs.events(id, { after, signal: stop.signal })) {
        stream.send(frameOf(event));
        if (!stream.blocked || stop.signal.aborted) continue;
        await new Promise<void>((resolve) => {
          resume = resolve;
        });
      }
      if (!reader.gone) stream.end('');
    } catch (error) {
      reply.raw.destroy();
      throw error;
    } finally {
      this.#open.delete(stop);
    }
  }
}
