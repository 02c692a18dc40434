/** A queue that is fair to owners: each round serves one item of every owner, in the order in which that owner's items arrived. */
import type { Owner } from '../task.ts';

export class FairQueue<Item> {
  // Maps and sets keep insertion order, which is the order of service. So every operation but `clear` takes constant time.
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

  /** Removes and returns the next item; its owner moves to the end of the round. */
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

  /** Does nothing when the item is not in the queue. */
  remove(owner: Owner, item: Item): void {
    const items = this.#itemsOf.get(owner);
    if (!items?.delete(item)) return;
    if (items.size === 0) this.#itemsOf.delete(owner);
    this.#size -= 1;
  }

  /** Empties the queue and returns the items that were in it. */
  clear(): Item[] {
    const all = [...this.#itemsOf.values()].flatMap((items) => [...items]);
    this.#itemsOf.clear();
    this.#size = 0;
    return all;
  }
}
