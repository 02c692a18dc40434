/** Follows the events of a job, and reconnects when the connection breaks, so that no event is missed or repeated. */
import type { EventJson } from '../../api/jobs/job-event-stream.ts';
import { backoff } from '../../waits.ts';
import { CommandFailure, exitStatus } from './exit-status.ts';
import type { JobClient } from './job-client.ts';

export type FollowOptions = {
  /** The number of the latest event that the caller has, or 0 if the caller has no events. */
  after: number;
  signal: AbortSignal;
  /** Called with the reason when the connection is lost. Not called again until events have arrived in between. */
  onLost(reason: string): void;
};

/** `seq` is the event's number in its job. */
export type Followed = { seq: number; event: EventJson };

/** How long this tries to reconnect, in milliseconds. */
const giveUpMs = 120_000;

/** Yields the events of a job. Ends after the job's last event, or when `signal` aborts. Throws a `CommandFailure`. */
export async function* followEvents(client: JobClient, id: string, options: FollowOptions): AsyncGenerator<Followed> {
  const { signal, onLost } = options;
  let last = options.after;
  let lostAt: number | undefined;
  const waits = backoff({ firstMs: 200, longestMs: 5000 });
  while (!signal.aborted) {
    let reason = 'the server closed it';
    try {
      const response = await client.events(id, last, signal);
      if (!response) return;
      for await (const followed of framesOf(response)) {
        last = followed.seq;
        lostAt = undefined;
        waits.reset();
        yield followed;
        if (isLast(followed.event)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof CommandFailure && error.status !== exitStatus.unavailable) throw error;
      reason = (error as Error).message;
    }
    if (lostAt === undefined) onLost(reason);
    lostAt ??= performance.now();
    if (performance.now() - lostAt > giveUpMs) throw new CommandFailure(exitStatus.unavailable, reason);
    await waits.wait(signal);
  }
}

function isLast(event: EventJson): boolean {
  return event.type === 'state' && event.status !== 'queued' && event.status !== 'running';
}

async function* framesOf(response: Response): AsyncGenerator<Followed> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of response.body ?? []) {
    const frames = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
    rest = frames.pop() ?? '';
    for (const frame of frames) {
      const [, seq] = /^id: (\d+)$/m.exec(frame) ?? [];
      const [, data] = /^data: (.*)$/m.exec(frame) ?? [];
      // An SSE comment has no id and no data. It only keeps the connection alive.
      if (seq !== undefined && data !== undefined) yield { seq: Number(seq), event: JSON.parse(data) as EventJson };
    }
  }
}
