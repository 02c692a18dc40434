/** Whether the callers with the same settings follow up on their conversations, judged by their last requests. */

/** So many new conversations in a row, each while an earlier one could have been continued, mean no follow-ups. */
const enough = 2;
const maxKeys = 1000;

export class FollowUps {
  /** The number of new conversations in a row, by key. The key used last is at the end. */
  readonly #newInARow = new Map<string, number>();

  /** A request followed up on a conversation, whether its agent was still there or not. */
  followedUp(key: string): void {
    this.#newInARow.delete(key);
  }

  /** A request began a conversation while an earlier one could have been continued. */
  beganAnother(key: string): void {
    const count = (this.#newInARow.get(key) ?? 0) + 1;
    this.#newInARow.delete(key);
    this.#newInARow.set(key, count);
    const [oldest] = this.#newInARow.keys();
    if (this.#newInARow.size > maxKeys && oldest !== undefined) this.#newInARow.delete(oldest);
  }

  /** True for a script, which asks each question once and never continues. */
  areUnlikely(key: string): boolean {
    return (this.#newInARow.get(key) ?? 0) >= enough;
  }
}
