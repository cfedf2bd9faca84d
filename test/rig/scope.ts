// Whoever ends what a rig began: a node:test context is one, and `inScope` makes one for programs that are no tests.

export interface Scope {
  after(clean: () => Promise<void> | void): void;
}

/** Runs `work`, then everything it registered, the last first, whether or not it failed. */
export async function inScope<Result>(work: (scope: Scope) => Promise<Result>): Promise<Result> {
  const cleanups: (() => Promise<void> | void)[] = [];
  try {
    return await work({ after: (clean) => void cleanups.push(clean) });
  } finally {
    for (const clean of cleanups.toReversed()) await clean();
  }
}
