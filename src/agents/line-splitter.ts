/** Cuts a byte stream into lines of UTF-8 text, and limits the length of a line. */

const newline = 0x0a;

/**
 * Joins the bytes of a line before decoding them, so that a character in two chunks stays whole. Calls `onTooLong` once
 * if a line is longer than `maxBytes`, and drops the rest of the stream, so that memory never holds more than one line.
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

  /** Passes on the last line, even if it does not end in a newline. */
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
