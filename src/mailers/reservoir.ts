// A sample of a stream of unknown length in which each item is as likely as any other, by Li's algorithm L: it draws how
// many items to skip, so that a million items cost some thousand random numbers and not a million.

import type { Random } from "../platform/random.ts";

export interface Reservoir<Item> {
  /** Makes the item only when it is taken. */
  offer(make: () => Item): void;
  taken(): readonly Item[];
  seen(): number;
}

export function createReservoir<Item>(size: number, random: Random): Reservoir<Item> {
  const items: Item[] = [];
  let seen = 0;
  let weight = 1;
  let next = size;
  // 1 - [0, 1) is never 0, whose logarithm is no number.
  const draw = (): number => 1 - random.unit();
  const skip = (): void => {
    weight *= Math.exp(Math.log(draw()) / size);
    next += Math.floor(Math.log(draw()) / Math.log(1 - weight)) + 1;
  };
  return {
    offer(make) {
      const index = seen++;
      if (index < size) {
        items.push(make());
        if (index === size - 1) {
          next = index;
          skip();
        }
      } else if (index === next) {
        items[Math.floor(random.unit() * size)] = make();
        skip();
      }
    },
    taken: () => items,
    seen: () => seen,
  };
}
