// Which addresses an import has seen, so that the database need not look for those that cannot be double. Of each address
// only 64 bits are kept: "new" is certain, "perhaps known" is for the database to find out. 8 octets for each place, half of
// them free: 32 MB for the two million that are the most.

const PLACES_MIN = 1 << 16;
const PLACES_MAX = 1 << 22;

export interface AddressMemory {
  /** True: it was not here before. Takes it in. */
  isNew(address: string): boolean;
}

export function createAddressMemory(placesMax: number = PLACES_MAX): AddressMemory {
  let places = Math.min(PLACES_MIN, placesMax);
  let high = new Uint32Array(places);
  let low = new Uint32Array(places);
  let count = 0;

  const put = (one: number, two: number): boolean => {
    const mask = places - 1;
    for (let at = two & mask; ; at = (at + 1) & mask) {
      if (high[at] === 0 && low[at] === 0) {
        high[at] = one;
        low[at] = two;
        return true;
      }
      if (high[at] === one && low[at] === two) return false;
    }
  };
  const grow = (): void => {
    const [oldHigh, oldLow] = [high, low];
    places *= 2;
    high = new Uint32Array(places);
    low = new Uint32Array(places);
    for (let at = 0; at < oldHigh.length; at++)
      if (oldHigh[at] !== 0 || oldLow[at] !== 0) put(oldHigh[at]!, oldLow[at]!);
  };

  return {
    isNew(address) {
      if (count * 2 >= places) {
        // Full: whoever comes now is perhaps known.
        if (places >= placesMax) return false;
        grow();
      }
      // Two hashes (FNV-1a, and the same with another prime) of the characters; upper case as lower case.
      let one = 0x811c9dc5;
      let two = 0x01234567;
      for (let index = 0; index < address.length; index++) {
        const code = address.charCodeAt(index);
        const folded = code >= 65 && code <= 90 ? code + 32 : code;
        one = Math.imul(one ^ folded, 0x01000193);
        two = Math.imul(two ^ folded, 0x85ebca6b) ^ (two >>> 13);
      }
      const isNew = put(one >>> 0, two >>> 0 || 1);
      if (isNew) count++;
      return isNew;
    },
  };
}
