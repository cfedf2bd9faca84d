// What a check has found: a code of the catalogue, and this case of it in words and figures. Pure.

import type { CatalogueEntry, Level } from "./catalogue-entry.ts";
import { FINDINGS, type FindingCode } from "./finding-catalogue.ts";

/** By name, units last. */
export type Figures = Readonly<Record<string, string | number>>;

export interface Finding {
  readonly code: FindingCode;
  /** A sentence with the figures of this case. It may quote a foreign server: to be made harmless before it is printed. */
  readonly found: string;
  readonly figures: Figures;
  /** What to do in this very case, where that is known better than by the catalogue. */
  readonly remedy?: string;
}

export function finding(code: FindingCode, found: string, figures: Figures = {}): Finding {
  return { code, found, figures };
}

export function entryOf({ code }: Finding): CatalogueEntry {
  return FINDINGS[code];
}

/** For judges that are lists of conditions. */
export function foundIf(isSo: boolean, make: () => Finding): readonly Finding[] {
  return isSo ? [make()] : [];
}

const ORDER: readonly Level[] = ["problem", "warning", "note"];

/** The gravest first, and else as they were found. */
export function gravestFirst(findings: readonly Finding[]): readonly Finding[] {
  return ORDER.flatMap((level) => findings.filter((one) => entryOf(one).level === level));
}

export function worstOf(findings: readonly Finding[]): Level | "ok" {
  return ORDER.find((level) => findings.some((one) => entryOf(one).level === level)) ?? "ok";
}
