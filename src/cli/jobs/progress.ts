/**
 * Shows the events of a job to a person: the agent's text as it is written, and every other event on a separate line.
 */
import type { EventJson } from '../../api/jobs/job-event-stream.ts';
import { truncate } from '../../truncate.ts';

/** How many characters of a tool's input or result are shown. */
const maxShown = 200;

export class Progress {
  readonly #write: (text: string) => void;
  /** Whether the last line has no line end yet. */
  #lineOpen = false;
  #latest: EventJson['type'] | undefined;
  /** The text that the agent has written since its last tool call, as it was shown. */
  latestText = '';

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  show(event: EventJson): void {
    if (event.type === 'tool_call') this.latestText = '';
    if (event.type === 'text') this.#text(event.text);
    // The text of the agent's thoughts is not shown, because it is much longer than everything else.
    else if (event.type !== 'thinking' || this.#latest !== 'thinking') this.line(lineOf(event));
    this.#latest = event.type;
  }

  line(text: string | undefined): void {
    if (text === undefined) return;
    this.end();
    this.#write(`${printable(text)}\n`);
  }

  /** Ends the last line if it has no line end yet. */
  end(): void {
    if (this.#lineOpen) this.#write('\n');
    this.#lineOpen = false;
  }

  #text(text: string): void {
    if (text === '') return;
    this.latestText += printable(text);
    this.#write(printable(text));
    this.#lineOpen = !text.endsWith('\n');
  }
}

function lineOf(event: Exclude<EventJson, { type: 'text' }>): string | undefined {
  switch (event.type) {
    case 'state':
      return stateLine(event);
    case 'workspace': {
      const { state, revision, detail, notes = [] } = event.sync;
      const facts = [revision?.slice(0, 12), detail].filter((fact) => fact !== undefined);
      return [`-- workspace: ${[state, ...facts].join(', ')}`, ...notes.map((note) => `-- ${note}`)].join('\n');
    }
    case 'started':
      return `-- agent started, model ${event.model}`;
    case 'thinking':
      return '-- thinking';
    case 'tool_call':
      return `-> ${event.name} ${short(JSON.stringify(event.input) ?? '')}`;
    case 'tool_result':
      return `<- ${event.is_error ? 'error: ' : ''}${short(event.text)}`;
    case 'retry': {
      const { status, attempt, max_attempts: most, delay_seconds: delay } = event;
      const detail = status === null ? '' : ` (${status})`;
      return `-- the model API failed${detail}: attempt ${attempt} of ${most} in ${delay} s`;
    }
    case 'tool_progress':
      return `-- ${event.name} still runs, after ${Math.round(event.elapsed_seconds)} s`;
    case 'denied':
      return `-- refused: ${event.tool}`;
    case 'text_dropped':
      return `-- the model's response broke off: its last ${event.length} characters are void`;
    case 'cost':
      return `-- cost so far: $${event.cost_usd}`;
    case 'events_full':
      return `-- no further events are recorded: the limit of ${event.limit} ${event.unit} is reached; the job continues`;
  }
}

function stateLine({
  status,
  attempt,
  error,
  cost_usd: cost,
  num_turns: turns,
}: Extract<EventJson, { type: 'state' }>) {
  const facts = [
    ...(attempt > 1 ? [`attempt ${attempt}`] : []),
    ...(cost === null ? [] : [`$${cost.toFixed(4)}`]),
    ...(turns === null ? [] : [`${turns} ${turns === 1 ? 'turn' : 'turns'}`]),
  ];
  return `-- ${[status, ...facts].join(', ')}${error ? `: ${error.message}` : ''}`;
}

function short(text: string): string {
  const line = text.trim().replace(/\s+/g, ' ');
  return truncate(line, maxShown);
}

/** Removes control characters, so that the text of an agent cannot control the terminal. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, '');
}
