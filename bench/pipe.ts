/** The named pipe through which the benchmark controls when a stub agent prints which line. */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export class Pipe {
  readonly #file: number;
  #rest: Buffer = Buffer.alloc(0);
  #open = true;

  /** Open for reading too, so that neither opening nor writing waits for the agent. */
  constructor(path: string) {
    this.#file = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  }

  /** `false`: nothing was written, because an earlier text still waits; the agent is behind by the buffer of a pipe. */
  write(text: string): boolean {
    if (!this.#flush()) return false;
    this.#rest = Buffer.from(text);
    this.#flush();
    return true;
  }

  /** Writes the last text and closes the pipe. To be called when the agent is known to read. */
  async end(text: string): Promise<void> {
    while (!this.write(text)) await sleep(5);
    while (!this.#flush()) await sleep(5);
    this.close();
  }

  close(): void {
    if (this.#open) closeSync(this.#file);
    this.#open = false;
  }

  /** Whether all is written. */
  #flush(): boolean {
    try {
      if (this.#rest.length > 0) this.#rest = this.#rest.subarray(writeSync(this.#file, this.#rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
    return this.#rest.length === 0;
  }
}
