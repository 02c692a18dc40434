/** A line in which owners take turns: each owner's own items in order of arrival, one of them per round. */
import type { Owner } from '../task.ts';

export class Turns<Item> {
  // Both keep insertion order, which is the order of turns; every step below takes constant time.
  readonly #lines = new Map<Owner, Set<Item>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(owner: Owner, item: Item): void {
    const line = this.#lines.get(owner) ?? new Set();
    line.add(item);
    this.#lines.set(owner, line);
    this.#size += 1;
  }

  /** The next item; its owner goes to the end of the round. */
  take(): Item | undefined {
    for (const [owner, line] of this.#lines) {
      for (const item of line) {
        this.remove(owner, item);
        if (this.#lines.delete(owner)) this.#lines.set(owner, line);
        return item;
      }
    }
    return undefined;
  }

  /** Whether it was there. */
  remove(owner: Owner, item: Item): boolean {
    const line = this.#lines.get(owner);
    if (!line?.delete(item)) return false;
    if (line.size === 0) this.#lines.delete(owner);
    this.#size -= 1;
    return true;
  }

  /** How many are served before this one if nobody else comes; `undefined` when it is not in line. */
  ahead(owner: Owner, item: Item): number | undefined {
    const own = this.#lines.get(owner);
    if (!own?.has(item)) return undefined;
    const round = [...own].indexOf(item);
    let count = round;
    let before = true;
    for (const [other, line] of this.#lines) {
      if (other === owner) before = false;
      else count += Math.min(line.size, round + (before ? 1 : 0));
    }
    return count;
  }

  /** Empties the line and tells who was in it. */
  clear(): Item[] {
    const all = [...this.#lines.values()].flatMap((line) => [...line]);
    this.#lines.clear();
    this.#size = 0;
    return all;
  }
}
