/**
 * Decides whether an idle agent is reset ahead of the next request, by the last requests with the same key (see
 * `idle.ts`).
 */

/** How many new conversations in a row show that no follow-up is to be expected. */
const enough = 2;
const maxKeys = 1000;

export class ResetPolicy {
  /** The number of new conversations in a row, by key. The key that was used last is at the end. */
  readonly #newInARow = new Map<string, number>();

  /** Call this when a request continues a conversation, even if the agent of that conversation has ended. */
  continued(key: string): void {
    this.#newInARow.delete(key);
  }

  /**
   * Call this when a request begins a conversation although an agent held an earlier conversation that it could
   * continue.
   */
  beganAnother(key: string): void {
    const count = (this.#newInARow.get(key) ?? 0) + 1;
    this.#newInARow.delete(key);
    this.#newInARow.set(key, count);
    const [oldest] = this.#newInARow.keys();
    if (this.#newInARow.size > maxKeys && oldest !== undefined) this.#newInARow.delete(oldest);
  }

  /**
   * Returns whether to reset ahead: `true` for a script, which asks each question once and continues no conversation.
   */
  resetsAhead(key: string): boolean {
    return (this.#newInARow.get(key) ?? 0) >= enough;
  }
}
