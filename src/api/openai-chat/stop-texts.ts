/** Cuts an answer before the first of the caller's stop texts. The answer may come in pieces. */

export class StopTexts {
  readonly #stops: string[];
  /** The end of the text so far, if it may be the beginning of a stop text. */
  #held = '';
  #found = false;

  constructor(stops: string[]) {
    // Half of a surrogate pair occurs in no text, but would be found within a character.
    this.#stops = stops.filter((stop) => stop.isWellFormed());
  }

  /** @returns the part of the text so far that can be shown now */
  push(text: string): string {
    if (this.#stops.length === 0) return text;
    if (this.#found) return '';
    const all = this.#held + text;
    const cut = this.#firstComplete(all);
    if (cut !== undefined) {
      this.#found = true;
      this.#held = '';
      return all.slice(0, cut);
    }
    const keep = this.#beginningOfAStop(all);
    this.#held = keep === 0 ? '' : all.slice(-keep);
    return keep === 0 ? all : all.slice(0, -keep);
  }

  /** @returns the rest, when no more text comes */
  end(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }

  get found(): boolean {
    return this.#found;
  }

  /** Returns the start of the stop text that ends first, because a model stops as soon as a stop text is complete. */
  #firstComplete(text: string): number | undefined {
    const found = this.#stops
      .map((stop) => ({ start: text.indexOf(stop), length: stop.length }))
      .filter(({ start }) => start >= 0)
      .sort((one, other) => one.start + one.length - other.start - other.length || one.start - other.start);
    return found[0]?.start;
  }

  /** Returns the length of the longest end of the text that is also the beginning of a stop text. */
  #beginningOfAStop(text: string): number {
    const longest = Math.max(...this.#stops.map((stop) => stop.length)) - 1;
    for (let length = Math.min(longest, text.length); length > 0; length -= 1) {
      const end = text.slice(-length);
      if (this.#stops.some((stop) => stop.startsWith(end))) return length;
    }
    return 0;
  }
}
