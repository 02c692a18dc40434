/** Collects the text that a job writes from its events, up to a limit. */
import { startOf } from '../truncate.ts';
import type { StoredEventBody } from './job.ts';

/** The most characters of a job's text that are kept. */
const maxLength = 1_000_000;

export class WrittenText {
  #kept = '';
  /** The length of the whole text. Only its beginning is kept. */
  #length = 0;

  read(event: StoredEventBody): void {
    if (event.type === 'text') {
      if (this.#kept.length === this.#length) this.#kept += startOf(event.text, maxLength - this.#kept.length);
      this.#length += event.text.length;
    }
    if (event.type === 'text_dropped') {
      this.#length -= event.length;
      this.#kept = this.#kept.slice(0, this.#length);
    }
  }

  get text(): string {
    return this.#kept;
  }
}
