/**
 * Reads the messages of one turn: passes on its events, puts its text together, and finds its result. Leaves out the
 * turns that the CLI begins by itself, as it does when a background task ends.
 */
import type { AgentEvent, Denial } from '../task.ts';
import type { Block, ModelFailure, ProtocolMessage } from './protocol/messages.ts';
import { type AgentResult, isAnswerTo } from './protocol/result.ts';
import { SpokenText } from './spoken-text.ts';

export class Turn {
  /** Whether the CLI has asked the model for this turn. Until then the turn has cost nothing. */
  askedModel = false;
  /** Why the last request to the model failed. */
  failure: ModelFailure | undefined;
  /** The usage limit that the login has reached. `resetsAt` is in milliseconds since 1970. */
  usageLimit: { resetsAt?: number } | undefined;
  /** Whether a hook of the operator stopped the turn. */
  stoppedByHook = false;
  readonly #line: string | undefined;
  readonly #tell: (event: AgentEvent) => void;
  readonly #text: SpokenText;
  readonly #calls = new Set<string>();
  readonly #denialReasons = new Map<string, string>();
  /**
   * Whether the messages belong to this turn. Messages do not say it themselves, but the CLI says at each request to
   * the model which lines it answers.
   */
  #isOurs = true;
  #isOver = false;
  /** The beginning of a turn, until it is known whose turn it is. */
  #begun: AgentEvent | undefined;

  /**
   * @param line the id of the input line that begins the turn. Undefined if the turn answers the command line; all
   * messages up to the first result belong to it
   */
  constructor(line: string | undefined, emit: (event: AgentEvent) => void) {
    this.#line = line;
    this.#tell = emit;
    this.#text = new SpokenText((event) => this.#emit(event));
  }

  /** Returns the result of the turn, if the message is this result. */
  read(message: ProtocolMessage): AgentResult | undefined {
    if (this.#isOver) return undefined;
    if (message.type === 'line_begins' && message.id === this.#line) this.#isOurs = true;
    if (message.type === 'asks_model' && this.#line !== undefined) this.#isOurs = message.lines.includes(this.#line);
    if (message.type === 'turn_begins') {
      // Where no line has an id, only the first turn is ours.
      if (this.#line === undefined && this.askedModel) this.#isOurs = false;
      this.#begun = { type: 'started', sessionId: message.sessionId, model: message.model };
    }
    if (message.type === 'usage_limit') this.usageLimit = message;
    if (message.type === 'result') return this.#readResult(message.result);
    if (this.#isOurs) this.#readOwn(message);
    return undefined;
  }

  /**
   * Returns what was said since the last tool call.
   * @param result the text of the turn's result
   */
  answer(result: string): string {
    return this.#text.answer(result);
  }

  /** Returns the tool calls of the turn that were refused. Undefined if there were none. */
  denials(result: AgentResult): Denial[] | undefined {
    if (result.denials.length === 0) return undefined;
    return result.denials.map(({ id, ...denial }) => {
      const reason = this.#denialReasons.get(id);
      return reason === undefined ? denial : { ...denial, reason };
    });
  }

  #readResult(result: AgentResult): AgentResult | undefined {
    if (this.#line === undefined ? !result.spontaneous : isAnswerTo(result, this.#line)) {
      this.#isOver = true;
      return result;
    }
    // The CLI did not say before whose turn it was.
    this.#text.dropAll();
    this.#isOurs = true;
    return undefined;
  }

  #readOwn(message: ProtocolMessage): void {
    switch (message.type) {
      case 'asks_model':
        this.askedModel = true;
        this.#flush();
        return;
      case 'message_begins':
        this.#text.messageBegins();
        return;
      case 'message_ends':
        this.#text.messageEnds(message.byItself);
        return;
      case 'text_part':
        this.askedModel = true;
        this.#text.part(message.text);
        return;
      case 'blocks':
        this.askedModel = true;
        for (const block of message.blocks) this.#readBlock(block);
        return;
      case 'model_failed':
        this.failure = message.failure;
        return;
      case 'hook_stopped':
        this.stoppedByHook = true;
        return;
      case 'event':
        this.#readEvent(message.event);
        return;
      case 'tool_results':
        // The call of the structured-output tool is not an event, so its result is not passed on either.
        for (const event of message.events) if (this.#calls.has(event.id)) this.#emit(event);
        return;
      case 'turn_begins':
      case 'line_begins':
      case 'usage_limit':
      case 'result':
      case 'control_response':
      case 'background':
      case 'other':
      case 'unknown':
        return;
    }
  }

  #readBlock(block: Block): void {
    if (block.type === 'text') {
      this.#text.finishedBlock(block.text);
      return;
    }
    this.#calls.add(block.id);
    this.#text.toolCall();
    this.#emit(block);
  }

  #emit(event: AgentEvent): void {
    this.#flush();
    this.#tell(event);
  }

  #flush(): void {
    if (this.#begun) this.#tell(this.#begun);
    this.#begun = undefined;
  }

  #readEvent(event: AgentEvent): void {
    if (event.type === 'denied' && event.reason) this.#denialReasons.set(event.id, event.reason);
    this.#emit(event);
  }
}
