// `--watch`: looks again every second. On a terminal each look is drawn over the last one; elsewhere they follow each other.
// It ends by Ctrl-C, or when there is nothing more to see.

import { systemClock } from "../../platform/clock.ts";
import { EXIT_DONE } from "./command-failure.ts";
import type { Output } from "./output.ts";

export interface Look {
  /** For programs. */
  readonly answer: object;
  /** For people. */
  readonly lines: readonly string[];
  /** Nothing of it will change any more. */
  readonly isOver?: boolean;
}

const WATCH_MS = 1000;

export async function watch(output: Output, look: () => Promise<Look>): Promise<number> {
  const stop = whenInterrupted();
  while (!stop.isDue()) {
    const { answer, lines, isOver } = await look();
    output.answer(answer);
    if (process.stdout.isTTY) output.print(`\x1b[H\x1b[J${[...lines, ""].join("\n")}`);
    else for (const line of [...lines, ""]) output.print(line);
    if (isOver === true) break;
    await stop.orAfter(WATCH_MS);
  }
  return EXIT_DONE;
}

export interface Interruption {
  isDue(): boolean;
  readonly happened: Promise<void>;
  orAfter(ms: number): Promise<void>;
}

/** By Ctrl-C, or by SIGTERM. */
export function whenInterrupted(): Interruption {
  let isDue = false;
  let wake = (): void => {};
  let happen = (): void => {};
  const happened = new Promise<void>((resolve) => (happen = resolve));
  const stop = (): void => {
    isDue = true;
    wake();
    happen();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
  return {
    isDue: () => isDue,
    happened,
    async orAfter(ms) {
      await new Promise<void>((resolve) => {
        const timer = systemClock.after(ms, resolve);
        wake = () => {
          timer.cancel();
          resolve();
        };
        if (isDue) wake();
      });
    },
  };
}
