/**
 * A queue that is fair to owners: each round serves one item of every owner. Items of one owner are served in order of
 * arrival.
 */
import type { Owner } from '../task.ts';

export class FairQueue<Item> {
  // The insertion order of this map and its sets is the order of service. So every operation except `clear` takes
  // constant time.
  readonly #itemsOf = new Map<Owner, Set<Item>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(owner: Owner, item: Item): void {
    const items = this.#itemsOf.get(owner) ?? new Set();
    items.add(item);
    this.#itemsOf.set(owner, items);
    this.#size += 1;
  }

  /** Removes and returns the next item. The item's owner moves to the end of the round. */
  take(): Item | undefined {
    for (const [owner, items] of this.#itemsOf) {
      for (const item of items) {
        this.remove(owner, item);
        if (this.#itemsOf.delete(owner)) this.#itemsOf.set(owner, items);
        return item;
      }
    }
    return undefined;
  }

  /** Removes an item. Does nothing if the item is not in the queue. */
  remove(owner: Owner, item: Item): void {
    const items = this.#itemsOf.get(owner);
    if (!items?.delete(item)) return;
    if (items.size === 0) this.#itemsOf.delete(owner);
    this.#size -= 1;
  }

  /** Returns the items of each owner, in order of arrival. */
  byOwner(): Iterable<[Owner, ReadonlySet<Item>]> {
    return this.#itemsOf;
  }

  /** Empties the queue and returns the items that were in it. */
  clear(): Item[] {
    const all = [...this.#itemsOf.values()].flatMap((items) => [...items]);
    this.#itemsOf.clear();
    this.#size = 0;
    return all;
  }
}
