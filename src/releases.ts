/**
 * Keeps the functions that release what was acquired, and calls each once, in reverse order, even if some of them fail.
 */

export type Release = () => void | Promise<void>;

export class Releases {
  #stack: Release[] = [];
  #running: Promise<void> | undefined;

  /** Adds a function that `run` will call. If `run` has already begun, calls the function at once. */
  push(release: Release): void {
    if (this.#running)
      void Promise.resolve()
        .then(release)
        .catch(() => {});
    else this.#stack.push(release);
  }

  /**
   * Calls all functions. If any have failed, then throws an AggregateError of their errors. A second call waits for the
   * first.
   */
  run(): Promise<void> {
    this.#running ??= this.#runAll();
    return this.#running;
  }

  async #runAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const release of this.#stack.splice(0).reverse()) {
      try {
        await release();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'Could not release everything');
  }
}
