/** Whether those who ask with a key go on with their conversations, as far as their last requests tell. */

/** New conversations in a row, each begun where the one before could have been continued. */
const enough = 2;
const maxKeys = 1000;

export class Habits {
  /** The key used last is at the end. */
  readonly #unfollowed = new Map<string, number>();

  /** A request continued, or would have continued, a conversation. */
  followedUp(key: string): void {
    this.#unfollowed.delete(key);
  }

  /** A request began a conversation while an earlier one could have been continued. */
  beganAnother(key: string): void {
    const count = (this.#unfollowed.get(key) ?? 0) + 1;
    this.#unfollowed.delete(key);
    this.#unfollowed.set(key, count);
    const [oldest] = this.#unfollowed.keys();
    if (this.#unfollowed.size > maxKeys && oldest !== undefined) this.#unfollowed.delete(oldest);
  }

  /** As a script does: nobody will ask for the conversation that has just been served. */
  asksOnce(key: string): boolean {
    return (this.#unfollowed.get(key) ?? 0) >= enough;
  }
}
