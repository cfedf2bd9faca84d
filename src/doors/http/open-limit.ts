// How many of something may be open at once in this front. One more is refused for now.

import { Problem } from "./problem.ts";

export interface OpenLimit {
  /** Answers how to give it back. Throws when all are taken. */
  take(): () => void;
}

/** `busy`: what whoever comes then is told. */
export function createOpenLimit(max: number, busy: string): OpenLimit {
  let open = 0;
  return {
    take() {
      if (open >= max) throw new Problem("busy", busy, { hint: "Nothing was done. Come again when they have ended." });
      open++;
      return () => void open--;
    },
  };
}
