/** A run that one request started and repeats of it may join: what it says is kept from its beginning, for each of them. */

import type { AnswerHead, FinishReason } from '../api/openai-chat/completion.ts';
import type { Piece, Speech } from '../api/openai-chat/speech.ts';
import { asServiceError, ServiceError } from '../errors.ts';
import type { Outcome, SyncReport } from '../task.ts';
import type { RunOptions } from './execute.ts';

export type RunEnd =
  | { state: 'succeeded'; outcome: Outcome; finish: FinishReason }
  | { state: 'failed'; error: ServiceError };

export type SharedRunOptions = {
  head: AnswerHead;
  /** Runs the task; the rest of its options is ours. */
  start(options: Pick<RunOptions, 'signal' | 'onEvent' | 'onSync' | 'onStart'>): Promise<Outcome>;
  speech: Speech;
  /** Whether anybody wants to hear it while it speaks. */
  streamed: boolean;
  /** How long it goes on when nobody waits for it any more. */
  graceMs: number;
};

/** Characters; an agent that streams more is ended, as it would be by the limit on what it prints. */
const maxSpokenLength = 4 * 1024 * 1024;

export class SharedRun {
  readonly head: AnswerHead;
  /** Settles with the run; never rejects. */
  readonly ended: Promise<RunEnd>;
  /** Settles when the agent starts to work, or with the run. */
  readonly begun: Promise<void>;
  /** What the agent said so far. */
  readonly pieces: Piece[] = [];
  end: RunEnd | undefined;
  sync: SyncReport | undefined;
  /** The agent has started to work. */
  working = false;
  /** Somebody has all of the answer. */
  delivered = false;
  readonly #streamed: boolean;
  readonly #graceMs: number;
  readonly #abort = new AbortController();
  readonly #listeners = new Set<() => void>();
  readonly #begun = Promise.withResolvers<void>();
  #spokenLength = 0;
  #waiting = 0;
  /** How long those had waited who left without their answer. Milliseconds. */
  readonly #waitedInVain: number[] = [];
  #grace: NodeJS.Timeout | undefined;

  constructor(options: SharedRunOptions) {
    this.head = options.head;
    this.#streamed = options.streamed;
    this.#graceMs = options.graceMs;
    this.begun = this.#begun.promise;
    this.ended = this.#run(options);
  }

  /** Why it is being ended, while it is. */
  get stopping(): ServiceError | undefined {
    return this.end === undefined && this.#abort.signal.aborted ? this.#abort.signal.reason : undefined;
  }

  /** Characters that it keeps in memory. */
  get size(): number {
    return this.#spokenLength + (this.end?.state === 'succeeded' ? this.end.outcome.text.length : 0);
  }

  /** Counts one more who waits for the answer. The function returned is called when it has it, or has gone. */
  join(): (how: 'answered' | 'gone') => void {
    this.#waiting += 1;
    clearTimeout(this.#grace);
    const since = performance.now();
    let joined = true;
    return (how) => {
      if (!joined) return;
      joined = false;
      this.#waiting -= 1;
      if (how === 'gone') this.#waitedInVain.push(performance.now() - since);
      if (this.#waiting > 0) return;
      if (this.end) this.#compact();
      else this.#grace = setTimeout(() => this.#giveUp(), this.#graceMs);
    };
  }

  /** Calls back whenever there is more to read: pieces, or the end. */
  listen(onMore: () => void): () => void {
    this.#listeners.add(onMore);
    return () => this.#listeners.delete(onMore);
  }

  /** Ends the run; the first reason counts. */
  stop(reason: ServiceError): void {
    this.#abort.abort(reason);
  }

  #giveUp(): void {
    const limitMs = this.#streamed ? undefined : sameTwice(this.#waitedInVain);
    if (limitMs === undefined) {
      this.stop(new ServiceError('client_gone', 'Cannot finish the run: the client has gone'));
      return;
    }
    const seconds = (limitMs / 1000).toFixed(limitMs < 10_000 ? 1 : 0);
    const why = `its client gave up twice after ${seconds} s, a limit of its own; raise that limit, or stream the answer`;
    this.stop(new ServiceError('agent_timeout', `Cannot finish the run: ${why}`));
  }

  async #run(options: SharedRunOptions): Promise<RunEnd> {
    this.end = await this.#outcome(options);
    clearTimeout(this.#grace);
    this.#begun.resolve();
    this.#tell();
    return this.end;
  }

  async #outcome({ start, speech, streamed }: SharedRunOptions): Promise<RunEnd> {
    try {
      const outcome = await start({
        signal: this.#abort.signal,
        onSync: (report) => {
          this.sync = report;
        },
        onStart: () => {
          this.working = true;
          this.#begun.resolve();
        },
        ...(streamed ? { onEvent: (event) => this.#keep(speech.hear(event)) } : {}),
      });
      const { piece, finish } = speech.conclude(outcome);
      if (streamed) this.#keep(piece);
      return { state: 'succeeded', outcome, finish };
    } catch (thrown) {
      return { state: 'failed', error: asServiceError(thrown) };
    }
  }

  #keep(piece: Piece | undefined): void {
    if (!piece) return;
    this.#spokenLength += piece.text.length;
    if (this.#spokenLength > maxSpokenLength) {
      this.stop(new ServiceError('output_too_large', `Cannot hold the answer: over ${maxSpokenLength} characters`));
      return;
    }
    this.pieces.push(piece);
    this.#tell();
  }

  /** Many small pieces take many times the memory of their text. */
  #compact(): void {
    const whole: Piece[] = [];
    for (const { channel, text } of this.pieces) {
      const last = whole.at(-1);
      if (last?.channel === channel) last.text += text;
      else whole.push({ channel, text });
    }
    this.pieces.splice(0, this.pieces.length, ...whole);
  }

  #tell(): void {
    for (const onMore of this.#listeners) onMore();
  }
}

/**
 * A person leaves when they please, a timer after the same time again. Who leaves by a timer asks again for minutes, at
 * growing intervals, and would have an agent started each time. Making a connection, or a machine under load, takes
 * some hundred milliseconds off one of the times.
 */
function sameTwice(waits: number[]): number | undefined {
  return waits.find((wait, at) => waits.slice(at + 1).some((other) => Math.abs(other - wait) < 300 + wait / 20));
}
