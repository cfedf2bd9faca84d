// What a simulation throws when an invariant does not hold, so that it can be told from a program that merely breaks.

export class Violation extends Error {}

export function mustHold(holds: boolean, invariant: string): asserts holds {
  if (!holds) throw new Violation(invariant);
}
