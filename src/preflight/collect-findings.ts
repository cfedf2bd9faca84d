// Findings as they come in: counted by code, with the first few examples of each, however many there are.

import { FINDINGS, type FindingCode } from "./finding-catalogue.ts";
import type { FindingExample, PreflightFinding } from "./preflight-report.ts";
import type { ListedRecipient } from "./recipient-store.ts";

/** Of each code. */
export const EXAMPLES_MAX = 5;
const DETAIL_CHARS_MAX = 500;

export interface FindingCollector {
  /** About a recipient, or the campaign as a whole. */
  add(code: FindingCode, detail: string, recipient?: Pick<ListedRecipient, "line" | "address">): void;
  /** So many at once, with examples of them. */
  addCounted(code: FindingCode, count: number, examples: readonly FindingExample[]): void;
  /** The gravest first, those of one severity as the catalogue has them. */
  all(): readonly PreflightFinding[];
}

interface Collected {
  count: number;
  readonly examples: FindingExample[];
}

export function createFindings(): FindingCollector {
  const found = new Map<FindingCode, Collected>();
  const collectedOf = (code: FindingCode): Collected => {
    const known = found.get(code);
    if (known !== undefined) return known;
    const fresh = { count: 0, examples: [] };
    found.set(code, fresh);
    return fresh;
  };
  return {
    add(code, detail, recipient) {
      const collected = collectedOf(code);
      collected.count++;
      if (collected.examples.length < EXAMPLES_MAX) collected.examples.push(exampleOf(detail, recipient));
    },
    addCounted(code, count, examples) {
      if (count === 0) return;
      const collected = collectedOf(code);
      collected.count += count;
      collected.examples.push(...examples.slice(0, EXAMPLES_MAX - collected.examples.length));
    },
    all: () =>
      [...found]
        .map(([code, { count, examples }]) => ({ code, ...FINDINGS[code], count, examples }))
        .toSorted((one, other) => rankOf(one.code) - rankOf(other.code)),
  };
}

const CODES = Object.keys(FINDINGS) as readonly FindingCode[];
const GRAVITY = { stop: 0, warn: 1, info: 2 } as const;

function rankOf(code: FindingCode): number {
  return GRAVITY[FINDINGS[code].severity] * CODES.length + CODES.indexOf(code);
}

function exampleOf(
  detail: string,
  { line = 0, address }: Partial<Pick<ListedRecipient, "line" | "address">> = {},
): FindingExample {
  const short = detail.length > DETAIL_CHARS_MAX ? `${detail.slice(0, DETAIL_CHARS_MAX)}…` : detail;
  return { line: line === 0 ? null : line, address: address ?? null, detail: short };
}
