// How long a client that gives a key waits for a database that says nothing. The driver gives up after a minute; a door
// has to say "not now" long before its client hangs up.

import type { Clock } from "../platform/clock.ts";

/** Most answers take a millisecond; who waits longer is better told to come again. */
export const DATABASE_ANSWER_MS_MAX = 2000;

/** What it answers later is lost; its connection is busy until the driver gives it up. */
export async function within<T>(clock: Clock, answer: Promise<T>): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const late = new Error(`the database did not answer within ${DATABASE_ANSWER_MS_MAX} ms`);
    const timer = clock.after(DATABASE_ANSWER_MS_MAX, () => reject(late));
    void answer.then(resolve, reject).finally(() => timer.cancel());
  });
}
