// Slows down whoever gives wrong keys. Each refusal of an address is answered later than the one before; right keys are
// never slowed, so that one program with an old key does not stop its neighbours. What is remembered is bounded: of so
// many addresses, and so many answers that are being kept back. An IPv6 address counts by its /64, which is what one
// customer gets (RFC 6177): else each attempt could come from another one.

import type { Clock } from "../platform/clock.ts";

export interface RefusedAttempts {
  /** How many that makes of this address, as far as is remembered, and the moment to answer. */
  note(from: string): { readonly attempts: number; readonly isTime: Promise<void> };
  /** Answers all that are kept back. */
  close(): void;
}

/** The first answer; each further one takes twice as long, up to the most. A person who mistypes does not notice. */
const REFUSAL_DELAY_MS = 100;
const REFUSAL_DELAY_MS_MAX = 8000;
/** An address that gives no wrong key for so long begins anew. */
const REFUSAL_REMEMBERED_MS = 10 * 60_000;
/** Some 100 octets each. The address that was refused longest ago is forgotten. */
const REFUSED_ADDRESSES_MAX = 10_000;
/** Answers that are being kept back; above that they are given at once. The doors' limits of sessions are lower. */
const REFUSALS_KEPT_BACK_MAX = 10_000;

export function createRefusedAttempts(clock: Clock): RefusedAttempts {
  const seen = new Map<string, { readonly attempts: number; readonly atMs: number }>();
  const keptBack = new Set<() => void>();

  function attemptsOf(from: string): number {
    const address = networkOf(from);
    const nowMs = clock.monotonicMs();
    const before = seen.get(address);
    const attempts = before === undefined || nowMs - before.atMs > REFUSAL_REMEMBERED_MS ? 1 : before.attempts + 1;
    // Deleted first, so that the map stays in the order of the last refusal.
    seen.delete(address);
    seen.set(address, { attempts, atMs: nowMs });
    if (seen.size > REFUSED_ADDRESSES_MAX) seen.delete(seen.keys().next().value!);
    return attempts;
  }

  function later(ms: number): Promise<void> {
    if (keptBack.size >= REFUSALS_KEPT_BACK_MAX) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = clock.after(ms, () => answer());
      const answer = (): void => {
        timer.cancel();
        keptBack.delete(answer);
        resolve();
      };
      keptBack.add(answer);
    });
  }

  return {
    note(from) {
      const attempts = attemptsOf(from);
      return { attempts, isTime: later(refusalDelayMs(attempts)) };
    },
    close() {
      for (const answer of keptBack) answer();
    },
  };
}

export function refusalDelayMs(attempts: number): number {
  return Math.min(REFUSAL_DELAY_MS * 2 ** (attempts - 1), REFUSAL_DELAY_MS_MAX);
}

/** `192.0.2.1` as it is, also when it comes as `::ffff:192.0.2.1`; of IPv6 the first four groups. */
export function networkOf(address: string): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  if (!address.includes(":")) return address;
  return groupsOf(address).slice(0, 4).join(":");
}

/** RFC 4291 §2.2: `::` stands for as many groups of zeros as are missing. */
function groupsOf(address: string): readonly string[] {
  const [head = [], tail = []] = address
    .toLowerCase()
    .split("::")
    .map((side) => side.split(":").filter((group) => group !== ""));
  const missing = Math.max(0, 8 - head.length - tail.length);
  return [...head, ...Array<string>(missing).fill("0"), ...tail].map((group) => group.replace(/^0+(?=.)/, ""));
}
