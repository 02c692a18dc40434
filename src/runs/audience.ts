/** The clients that wait for the answer of one run. When all have left without it, the run is ended. */
import { ServiceError } from '../errors.ts';
import type { MemoryLog } from './memory-log.ts';
import type { Run } from './run.ts';

export type AudienceOptions = {
  /** Whether the clients read a stream. Those that wait for a whole answer may have a time limit of their own. */
  streamed: boolean;
  /** How long the run goes on when nobody waits for it any more. Milliseconds. */
  graceMs: number;
};

export class Audience {
  readonly run: Run<MemoryLog>;
  /** One client has the whole answer. */
  delivered = false;
  readonly #options: AudienceOptions;
  #waiting = 0;
  /** How long the clients had waited that left without an answer. Milliseconds. */
  readonly #gaveUpAfter: number[] = [];
  #grace: NodeJS.Timeout | undefined;

  constructor(run: Run<MemoryLog>, options: AudienceOptions) {
    this.run = run;
    this.#options = options;
    void run.ended.then(() => clearTimeout(this.#grace));
  }

  /** Characters that it keeps in memory. */
  get size(): number {
    const { end, log } = this.run;
    return log.size + (end?.state === 'succeeded' ? end.outcome.text.length : 0);
  }

  /** Adds a client. The function that is returned is called when the client has the answer, or has gone. */
  join(): (how: 'answered' | 'gone') => void {
    this.#waiting += 1;
    clearTimeout(this.#grace);
    const since = performance.now();
    let joined = true;
    return (how) => {
      if (!joined) return;
      joined = false;
      this.#waiting -= 1;
      if (how === 'gone') this.#gaveUpAfter.push(performance.now() - since);
      if (this.#waiting > 0) return;
      if (this.run.end) this.run.log.compact();
      else this.#grace = setTimeout(() => this.#endRun(), this.#options.graceMs);
    };
  }

  #endRun(): void {
    const limitMs = this.#options.streamed ? undefined : sameTwice(this.#gaveUpAfter);
    if (limitMs === undefined) {
      this.run.stop(new ServiceError('client_gone'));
      return;
    }
    const seconds = (limitMs / 1000).toFixed(limitMs < 10_000 ? 1 : 0);
    const why = `its client gave up twice after ${seconds} s, a limit of its own; raise that limit, or stream the answer`;
    this.run.stop(new ServiceError('agent_timeout', `Cannot finish the run: ${why}`));
  }
}

/**
 * A time after which clients left twice: then it is a timer of the client, not a person. Such a client repeats its request
 * for minutes, at growing intervals, and each repeat would start an agent. Making a connection, or a machine under load,
 * takes some hundred milliseconds off one of the times.
 */
function sameTwice(times: number[]): number | undefined {
  return times.find((time, at) => times.slice(at + 1).some((other) => Math.abs(other - time) < 300 + time / 20));
}
