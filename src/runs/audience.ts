/** The clients that wait for the answer of one run. If all of them leave without the answer, the run is ended. */
import { ServiceError } from '../errors.ts';
import type { MemoryLog } from './memory-log.ts';
import type { Run } from './run.ts';

export type AudienceOptions = {
  /** Whether the clients read a stream. Clients that wait for a whole answer may give up after a time limit of theirs. */
  streamed: boolean;
  /** How long the run goes on after the last client has left, in milliseconds. */
  graceMs: number;
};

export class Audience {
  readonly run: Run<MemoryLog>;
  /** Whether any client has received the whole answer. */
  delivered = false;
  readonly #options: AudienceOptions;
  #waiting = 0;
  /** The waits of the clients that left without an answer, in milliseconds. */
  readonly #gaveUpAfter: number[] = [];
  #grace: NodeJS.Timeout | undefined;

  constructor(run: Run<MemoryLog>, options: AudienceOptions) {
    this.run = run;
    this.#options = options;
    void run.ended.then(() => clearTimeout(this.#grace));
  }

  /** The number of characters of the run that are kept in memory. */
  get size(): number {
    const { end, log } = this.run;
    return log.size + (end?.state === 'succeeded' ? end.outcome.text.length : 0);
  }

  /** Adds a client. The caller calls the returned function when the client has received the answer, or has gone. */
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
 * Returns a time after which clients left twice. Two equal times show that the client has a timer; a person does not
 * leave so regularly. A client with a timer repeats its request for minutes, and each repeat would start an agent.
 * Equal times may differ by some hundred milliseconds, because connecting takes time and machines are busy.
 */
function sameTwice(times: number[]): number | undefined {
  return times.find((time, at) => times.slice(at + 1).some((other) => Math.abs(other - time) < 300 + time / 20));
}
