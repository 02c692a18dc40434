/** A stack of releases. Code that acquires something pushes its release; they run once, in reverse, even if one fails. */

export type Release = () => void | Promise<void>;

export class Releases {
  #stack: Release[] = [];
  #running: Promise<void> | undefined;

  /** After `run` began, a late acquisition is released at once. */
  push(release: Release): void {
    if (this.#running)
      void Promise.resolve()
        .then(release)
        .catch(() => {});
    else this.#stack.push(release);
  }

  /** Throws an AggregateError of what failed, after all have run. A second call waits for the first. */
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
