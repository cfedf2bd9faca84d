// What one batch of returns says of destinations, put together: each destination is written once, with what the greater
// part of its lines said last. One connection of many that failed is not a wave; one delivery among timeouts is no end
// of it. Pure.

import type { DestinationSign } from "../outcome/judge-return.ts";
import type { DestinationNews } from "./destination-store.ts";

/** Old news (an agent that was away reads its log from where it stood) says nothing of now. */
const NEWS_MS_MAX = 10 * 60_000;

interface NewsLine {
  answered: number;
  /** Those that are `suspended` among them. */
  failing: number;
  suspended: number;
  ageMs: number;
  error: string | undefined;
}

export class NewsOfDestinations {
  readonly #lines = new Map<string, NewsLine>();

  add(name: string, { kind, said }: DestinationSign, ageMs: number): void {
    if (ageMs > NEWS_MS_MAX) return;
    const line = this.#lines.get(name) ?? { answered: 0, failing: 0, suspended: 0, ageMs, error: undefined };
    this.#lines.set(name, line);
    line.ageMs = Math.min(line.ageMs, ageMs);
    if (kind === "answered") line.answered += 1;
    if (kind !== "failing" && kind !== "suspended") return;
    line.failing += 1;
    if (kind === "suspended") line.suspended += 1;
    line.error = said;
  }

  all(): readonly DestinationNews[] {
    return [...this.#lines].map(([name, { answered, failing, suspended, ageMs, error }]) => {
      if (failing > answered) {
        return { name, kind: failing > suspended ? "failing" : "suspended", successes: 0, ageMs, error };
      }
      if (answered === 0) return { name, kind: "told", successes: 0, ageMs };
      return { name, kind: "answered", successes: Math.min(answered, SUCCESSES_TOLD_MAX), ageMs };
    });
  }
}

/** More in one batch say nothing more. */
const SUCCESSES_TOLD_MAX = 100;
