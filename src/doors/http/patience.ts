// How long a request waits for the database, all together: whatever stands still there, the answer comes in time. What
// is waited for no longer goes on by itself; its end is heard and forgotten.

import type { Clock } from "../../platform/clock.ts";
import { AcceptanceBusy } from "../../submission/accept-submission.ts";
import { DATABASE_MS_MAX } from "./http-limits.ts";
import { Problem } from "./problem.ts";

export interface Patience {
  /** Aborted once it is over. */
  readonly signal: AbortSignal;
  /** Throws the problem `database_silent` with this hint when the work does not end in time, or fails by the database. */
  within<T>(work: Promise<T>, hint?: string): Promise<T>;
  /** Waits for work that bounds its own waiting: what it took is taken from the rest. */
  during<T>(work: Promise<T>): Promise<T>;
}

const HINT = "Ask again later.";

export function createPatience(clock: Clock, msMax: number = DATABASE_MS_MAX): Patience {
  const controller = new AbortController();
  let leftMs = msMax;

  async function during<T>(work: Promise<T>, hint = HINT): Promise<T> {
    const startedAtMs = clock.monotonicMs();
    try {
      return await work;
    } catch (error) {
      throw isOfDatabase(error) ? silent("the database failed", hint, error) : error;
    } finally {
      leftMs = Math.max(0, leftMs - (clock.monotonicMs() - startedAtMs));
    }
  }

  return {
    during,
    signal: controller.signal,
    async within(work, hint = HINT) {
      let cancel = (): void => {};
      const late = new Promise<never>((_, reject) => {
        const timer = clock.after(leftMs, () => {
          controller.abort();
          reject(silent("the database did not answer in time", hint));
        });
        cancel = () => timer.cancel();
      });
      try {
        return await during(Promise.race([work, late]), hint);
      } finally {
        cancel();
      }
    },
  };
}

function silent(detail: string, hint: string, cause?: unknown): Problem {
  return new Problem("database_silent", detail, { hint, cause });
}

/** Not what we say ourselves, not our own mistakes, and not what the server says of our statements. */
function isOfDatabase(error: unknown): boolean {
  if (error instanceof Problem || error instanceof AcceptanceBusy) return false;
  if (error instanceof TypeError || error instanceof RangeError) return false;
  const { code } = error as { readonly code?: unknown };
  return !(typeof code === "string" && /^(?:PL|22|42|ERR_)/.test(code));
}
