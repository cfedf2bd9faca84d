// The password resets of the demo: what a web application does while a newsletter goes out. Each is submitted by
// `postlane.enqueue` in a transaction of its own, and they are spread over the newsletter's run, whatever its speed.

import { setTimeout as sleep } from "node:timers/promises";
import { enqueueOne } from "../faults/rig/books-store.ts";
import { openSiteDatabase } from "../bench/site-database.ts";

export interface Resets {
  /** The addresses whose reset was committed. */
  readonly committed: readonly string[];
  /** Rejects when a reset was refused or its fate is unknown. */
  readonly done: Promise<void>;
}

const PAUSE_MS = 20;
/** So many may be ahead of the newsletter's progress: enough to go on while its dispatcher is dead. */
const AHEAD_MAX = 40;

/** `progress` answers which part of the newsletter was sent, from 0 to 1. */
export function startResets(dataDir: string, count: number, progress: () => number): Resets {
  const committed: string[] = [];
  const submitAll = async (): Promise<void> => {
    const database = openSiteDatabase(dataDir);
    try {
      for (let number = 1; number <= count; number++) {
        while (number > progress() * count + AHEAD_MAX) await sleep(PAUSE_MS);
        if (number > progress() * count) await sleep(PAUSE_MS);
        const to = `user${number}@home${number % 50}.example`;
        const call = await database.call((client) => enqueueOne(client, resetFor(to, number)));
        if (call.kind !== "committed") throw new Error(`the reset for ${to} was not committed (${call.kind})`);
        committed.push(to);
      }
    } finally {
      await database.close();
    }
  };
  const done = submitAll();
  done.catch(() => {}); // Heard by whoever awaits it.
  return { committed, done };
}

function resetFor(to: string, number: number) {
  return {
    to,
    lane: "transactional",
    subject: "Reset your password",
    text: `Hello,\n\nhere is your link: https://shop.example/reset/${number}\nIt is good for one hour.\n`,
  };
}
