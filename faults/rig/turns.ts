// One after the other, and nothing after the end: what a fault was at when it was interrupted goes on beside the clean-up,
// and would bring back what that takes away.

export interface Turns {
  take<Result>(work: () => Promise<Result>): Promise<Result>;
  /** The last one; who comes later is refused. */
  end(work: () => Promise<void>): Promise<void>;
}

export function createTurns(): Turns {
  let before: Promise<unknown> = Promise.resolve();
  let isOver = false;
  const next = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const mine = before.then(work);
    before = mine.catch(() => {});
    return mine;
  };
  return {
    async take(work) {
      if (isOver) throw new Error("it is over, and was taken away");
      return await next(async () => await work());
    },
    async end(work) {
      isOver = true;
      await next(work);
    },
  };
}
