/** Follows the events of a job over as many connections as it takes: none is missed, none comes twice. */
import type { EventJson } from '../../api/jobs/events.ts';
import { CommandFailure, exitStatus } from './exit-status.ts';
import type { JobClient } from './job-client.ts';

export type FollowOptions = {
  /** The number of the latest event that the caller has; 0: none. */
  after: number;
  signal: AbortSignal;
  /** Told when the connection is lost, and why, once until it is there again. */
  onLost(reason: string): void;
  /** How long it goes on trying while the server does not answer. */
  giveUpMs?: number;
};

/** `seq`: the event's number in its job. */
export type Followed = { seq: number; event: EventJson };

const firstWaitMs = 200;
const longestWaitMs = 5000;

/** Ends after the job's last event or when `signal` aborts. Throws a `CommandFailure`. */
export async function* followEvents(client: JobClient, id: string, options: FollowOptions): AsyncGenerator<Followed> {
  const { signal, onLost, giveUpMs = 120_000 } = options;
  let last = options.after;
  let lostAt: number | undefined;
  let waitMs = firstWaitMs;
  while (!signal.aborted) {
    let reason = 'the server ended it';
    try {
      const response = await client.events(id, last, signal);
      if (!response) return;
      for await (const followed of framesOf(response)) {
        last = followed.seq;
        lostAt = undefined;
        waitMs = firstWaitMs;
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
    await pause(waitMs, signal);
    waitMs = Math.min(longestWaitMs, waitMs * 2);
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
      // Comments, which only keep the connection alive, have neither.
      if (seq !== undefined && data !== undefined) yield { seq: Number(seq), event: JSON.parse(data) as EventJson };
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
