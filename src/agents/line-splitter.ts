/** Cuts a byte stream into lines of UTF-8 text, each within a bound. */

const newline = 0x0a;

/**
 * Bytes are joined before they are decoded, so that a character in two chunks stays whole. A line longer than `maxBytes`
 * calls `onTooLong` once, and the rest of the stream is dropped: memory never exceeds one line.
 */
export class LineSplitter {
  #parts: Buffer[] = [];
  #size = 0;
  #broken = false;
  readonly #maxBytes: number;
  readonly #onLine: (line: string) => void;
  readonly #onTooLong: () => void;

  constructor(maxBytes: number, onLine: (line: string) => void, onTooLong: () => void) {
    this.#maxBytes = maxBytes;
    this.#onLine = onLine;
    this.#onTooLong = onTooLong;
  }

  push(chunk: Buffer): void {
    let from = 0;
    for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, from)) {
      this.#append(chunk.subarray(from, at));
      this.#flush();
      from = at + 1;
    }
    this.#append(chunk.subarray(from));
  }

  /** The last line need not end in a newline. */
  end(): void {
    if (this.#size > 0) this.#flush();
  }

  #append(part: Buffer): void {
    if (this.#broken || part.length === 0) return;
    this.#size += part.length;
    if (this.#size > this.#maxBytes) {
      this.#broken = true;
      this.#parts = [];
      this.#onTooLong();
      return;
    }
    this.#parts.push(part);
  }

  #flush(): void {
    if (this.#broken) return;
    const [only] = this.#parts;
    const bytes = this.#parts.length === 1 && only ? only : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#size = 0;
    const line = bytes.toString('utf8').trimEnd();
    if (line !== '') this.#onLine(line);
  }
}
