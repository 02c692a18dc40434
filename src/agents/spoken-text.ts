/** Puts together the text that the model says in a turn, and takes back what the CLI has dropped. */
import type { AgentEvent } from '../task.ts';

/**
 * The text comes in parts while the model writes a block, and again as a whole when the block is finished. If the
 * model's response breaks off within a block, the CLI drops that block and asks the model again: the parts are then
 * void. The CLI keeps finished blocks, and the model continues after them. Blocks may also come without parts. All of
 * this was measured on the CLI 2.1.329.
 */
export class SpokenText {
  readonly #emit: (event: AgentEvent) => void;
  /** The text since the last tool call. */
  #sinceTool = '';
  /** The text before the last tool call, since the tool call before it. */
  #beforeTool = '';
  /** The parts of the block that is not finished yet. */
  #unfinished = '';
  /** The blank line that was put before these parts. */
  #gap = '';
  /** The length of all text that was emitted and not dropped. */
  #length = 0;
  /** Whether the model has ended its message by its own decision, so that further text is a new paragraph. */
  #ended = false;

  constructor(emit: (event: AgentEvent) => void) {
    this.#emit = emit;
  }

  part(text: string): void {
    if (text === '') return;
    if (this.#unfinished === '') {
      this.#gap = this.#ended && this.#sinceTool !== '' ? '\n\n' : '';
      this.#ended = false;
    }
    const shown = this.#unfinished === '' ? this.#gap + text : text;
    this.#unfinished += text;
    this.#sinceTool += shown;
    this.#length += shown.length;
    this.#emit({ type: 'text', text: shown });
  }

  /** @param text the whole block, of which parts may have come before */
  finishedBlock(text: string): void {
    if (text.startsWith(this.#unfinished)) this.part(text.slice(this.#unfinished.length));
    else if (text.trim() !== this.#unfinished.trim()) {
      this.dropUnfinished();
      this.part(text);
    }
    this.#unfinished = '';
  }

  /** The model begins a message. It has finished all blocks that count. */
  messageBegins(): void {
    this.dropUnfinished();
  }

  /** @param byItself whether the model ended the message by its own decision, and not at a limit */
  messageEnds(byItself: boolean): void {
    this.#ended = byItself;
  }

  toolCall(): void {
    this.#unfinished = '';
    this.#beforeTool = this.#sinceTool || this.#beforeTool;
    this.#sinceTool = '';
    this.#ended = false;
  }

  dropUnfinished(): void {
    const length = this.#unfinished === '' ? 0 : this.#gap.length + this.#unfinished.length;
    this.#unfinished = '';
    this.#sinceTool = this.#sinceTool.slice(0, this.#sinceTool.length - length);
    if (length > 0 && this.#gap !== '') this.#ended = true;
    this.#drop(length);
  }

  /** Takes back everything that was said, because it belongs to another turn. */
  dropAll(): void {
    this.#drop(this.#length);
    this.#sinceTool = '';
    this.#beforeTool = '';
    this.#unfinished = '';
    this.#ended = false;
  }

  /**
   * Returns the answer: everything that was said since the last tool call.
   * @param result the text of the CLI's result, which is usually the last block. Emits it if it was not said.
   */
  answer(result: string): string {
    const said = this.#sinceTool || this.#beforeTool;
    if (!said.includes(result.trim())) {
      this.#unfinished = '';
      this.#ended = true;
      this.part(result);
    }
    return this.#sinceTool || result;
  }

  #drop(length: number): void {
    if (length === 0) return;
    this.#length -= length;
    this.#emit({ type: 'text_dropped', length });
  }
}
