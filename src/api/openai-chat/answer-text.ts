/** Turns the events of a run into the pieces of text that a stream shows. */
import type { Wanted } from '../../runs/memory-log.ts';
import type { Outcome, RunEvent } from '../../task.ts';
import { truncate } from '../../truncate.ts';
import type { AgentEventKind } from '../api.ts';
import type { Channel } from './chunks.ts';
import { type FinishReason, finishReasonOf } from './completion.ts';
import { StopTexts } from './stop-texts.ts';

export type Piece = { channel: Channel; text: string };

export type AnswerTextOptions = {
  /** The stop texts. The answer is cut before the first that occurs in it. */
  stop: string[];
  /** The events that are shown besides the answer, as reasoning. */
  agentEvents: ReadonlySet<AgentEventKind>;
  /** Whether a schema was given. Then only the final JSON object is the answer, and no earlier text. */
  formatted: boolean;
};

/** Where a stream shows an event of each type: in the answer, as reasoning for clients that ask for it, or nowhere. */
const shownIn: Record<RunEvent['type'], 'answer' | AgentEventKind | 'nowhere'> = {
  text: 'answer',
  tool_call: 'tools',
  thinking: 'thinking',
  tool_result: 'tools',
  retry: 'tools',
  denied: 'tools',
  tool_progress: 'tools',
  text_dropped: 'answer',
  started: 'nowhere',
  cost: 'nowhere',
  workspace: 'nowhere',
  working: 'nowhere',
};

/** Returns the events that a stream with these options uses. */
export function usedEvents({ agentEvents, formatted }: Omit<AnswerTextOptions, 'stop'>): Wanted {
  const used = new Map<RunEvent['type'], 'whole' | 'brief'>();
  for (const [type, where] of Object.entries(shownIn) as [RunEvent['type'], (typeof shownIn)[RunEvent['type']]][]) {
    if (where === 'answer' ? !formatted : where !== 'nowhere' && agentEvents.has(where)) used.set(type, 'whole');
  }
  // A text after a tool call begins a new paragraph, so every stream must know of the calls.
  if (!used.has('tool_call')) used.set('tool_call', 'brief');
  return used;
}

const shownLength = 300;

export class AnswerText {
  readonly #options: AnswerTextOptions;
  readonly #stop: StopTexts;
  #said = false;
  /** Whether the agent has used a tool since its last text. */
  #interrupted = false;

  constructor(options: AnswerTextOptions) {
    this.#options = options;
    this.#stop = new StopTexts(options.stop);
  }

  /** Returns `undefined` if there is nothing to show. */
  pieceOf(event: RunEvent): Piece | undefined {
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
        return this.#show('tools', `\nThe model API failed; retry ${event.attempt} of ${event.maxAttempts}\n`);
      case 'denied':
        return this.#show('tools', `refused: ${event.tool}: ${shortened(event.reason ?? 'no permission')}\n`);
      case 'tool_progress':
        return this.#show('tools', `${event.name} still runs, after ${Math.round(event.seconds)} s\n`);
      // The stream ends then, because a text that was sent cannot be taken back.
      case 'text_dropped':
      case 'started':
      case 'cost':
      case 'workspace':
      case 'working':
        return undefined;
    }
  }

  /** Returns the rest of the answer when the run has ended well. That is the whole answer if no text was shown before. */
  conclude(outcome: Outcome): { piece: Piece | undefined; finish: FinishReason } {
    const whole = this.#said ? '' : this.#stop.push(outcome.text);
    const text = whole + this.#stop.end();
    return {
      piece: text === '' ? undefined : { channel: 'content', text },
      finish: finishReasonOf(outcome.stopReason, this.#stop.found),
    };
  }

  #say(text: string): Piece | undefined {
    if (text === '') return undefined;
    const separated = this.#said && this.#interrupted ? `\n\n${text}` : text;
    this.#said = true;
    this.#interrupted = false;
    const shown = this.#stop.push(separated);
    return shown === '' ? undefined : { channel: 'content', text: shown };
  }

  #show(kind: AgentEventKind, text: string): Piece | undefined {
    return this.#options.agentEvents.has(kind) && text !== '' ? { channel: 'reasoning', text } : undefined;
  }
}

function shortened(text: string | undefined): string {
  return truncate((text ?? '').replaceAll(/\s+/g, ' '), shownLength);
}
