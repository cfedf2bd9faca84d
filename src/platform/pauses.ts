// The pauses of a loop that somebody may end: what is waiting then goes on at once, and nothing waits any more.

import type { Clock } from "./clock.ts";

export interface Pauses {
  readonly isEnded: boolean;
  /** Resolves after so long, or at the end. */
  wait(ms: number): Promise<void>;
  end(): void;
}

export function createPauses(clock: Clock): Pauses {
  const open = new Set<() => void>();
  let isEnded = false;
  return {
    get isEnded() {
      return isEnded;
    },
    wait(ms) {
      return new Promise((resolve) => {
        const wake = (): void => {
          timer.cancel();
          open.delete(wake);
          resolve();
        };
        const timer = clock.after(isEnded ? 0 : ms, wake);
        open.add(wake);
      });
    },
    end() {
      isEnded = true;
      for (const wake of open) wake();
    },
  };
}
