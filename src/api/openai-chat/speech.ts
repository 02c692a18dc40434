/** What an agent says while it works, as the pieces of text that a stream carries. */
import type { AgentEvent, Outcome } from '../../task.ts';
import type { Channel } from './chunks.ts';
import { type FinishReason, finishReasonOf } from './completion.ts';
import { StopTexts } from './stop-texts.ts';

export type Piece = { channel: Channel; text: string };

/** What a caller may follow besides the text: named in a request header, shown as `reasoning_content`. */
export const followable = ['tools', 'thinking'] as const;
export type Follow = (typeof followable)[number];

export type SpeechOptions = {
  stop: string[];
  follow: ReadonlySet<Follow>;
  /** An answer in a format is given whole at the end: what the agent says on the way there is not part of it. */
  formatted: boolean;
};

const shownLength = 300;

export class Speech {
  readonly #options: SpeechOptions;
  readonly #stop: StopTexts;
  #spoke = false;
  /** The agent did something since it last spoke. */
  #interrupted = false;

  constructor(options: SpeechOptions) {
    this.#options = options;
    this.#stop = new StopTexts(options.stop);
  }

  /** `undefined`: nothing to show. */
  hear(event: AgentEvent): Piece | undefined {
    switch (event.type) {
      case 'text':
        return this.#options.formatted ? undefined : this.#say(event.text);
      case 'thinking':
        return this.#show('thinking', event.text);
      case 'tool_call':
        this.#interrupted = true;
        return this.#show('tools', `\n${event.name} ${shortened(JSON.stringify(event.input))}\n`);
      case 'tool_result':
        return this.#show('tools', `${event.isError ? 'failed' : 'done'}: ${shortened(event.text)}\n`);
      case 'retry':
        return this.#show('tools', `\nThe model API failed; asking again (${event.attempt} of ${event.maxAttempts})\n`);
      case 'started':
      case 'cost':
        return undefined;
    }
  }

  /** What is still to be said when the run has ended well: all of it, if nothing was said on the way. */
  conclude(outcome: Outcome): { piece: Piece | undefined; finish: FinishReason } {
    const whole = this.#spoke ? '' : this.#stop.push(outcome.text);
    const text = whole + this.#stop.end();
    return {
      piece: text === '' ? undefined : { channel: 'content', text },
      finish: finishReasonOf(outcome.stopReason, this.#stop.found),
    };
  }

  #say(text: string): Piece | undefined {
    if (text === '') return undefined;
    const separated = this.#spoke && this.#interrupted ? `\n\n${text}` : text;
    this.#spoke = true;
    this.#interrupted = false;
    const shown = this.#stop.push(separated);
    return shown === '' ? undefined : { channel: 'content', text: shown };
  }

  #show(what: Follow, text: string): Piece | undefined {
    return this.#options.follow.has(what) && text !== '' ? { channel: 'reasoning', text } : undefined;
  }
}

function shortened(text: string | undefined): string {
  const line = (text ?? '').replaceAll(/\s+/g, ' ');
  return line.length > shownLength ? `${line.slice(0, shownLength)}…` : line;
}
