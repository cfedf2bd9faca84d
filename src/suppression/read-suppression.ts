// What a person or a program asks to have suppressed, from words: shared by the command line, HTTP and imports. Pure. Says
// which field is wrong and what to give instead; nothing is guessed.

import { addressProblem } from "../mail/address.ts";
import { isHashable, suppressionName } from "./suppression-hash.ts";
import {
  SUPPRESSION_REASONS,
  SUPPRESSION_SCOPES,
  type NewSuppression,
  type SuppressionReason,
  type SuppressionScope,
} from "./suppression.ts";

export interface SuppressionWords {
  readonly address: string;
  readonly scope: string;
  readonly list?: string | undefined;
  readonly reason: string;
  readonly source: string;
  readonly days?: number | undefined;
}

export type ReadSuppression =
  | { readonly kind: "read"; readonly suppression: NewSuppression }
  | { readonly kind: "bad"; readonly field: keyof SuppressionWords; readonly problem: string };

/** Characters of a list's name, and of a source. */
export const NAME_CHARS_MAX = 100;
/** A hundred years: whoever means for ever leaves it out. */
export const DAYS_MAX = 36_500;

export function readSuppression({ address, scope, list, reason, source, days }: SuppressionWords): ReadSuppression {
  const bad = (field: keyof SuppressionWords, problem: string): ReadSuppression => ({ kind: "bad", field, problem });
  const wrongAddress = suppressedAddressProblem(address);
  if (wrongAddress !== undefined) return bad("address", wrongAddress);
  const readScope = scopeOf(scope, list);
  if (typeof readScope === "string") return bad(list !== undefined && isScope(scope) ? "list" : "scope", readScope);
  if (!isReason(reason)) return bad("reason", `not a reason: ${SUPPRESSION_REASONS.join(", ")}`);
  if (!isName(source)) return bad("source", `not 1 to ${NAME_CHARS_MAX} characters without control characters`);
  if (days !== undefined && !(Number.isInteger(days) && days >= 1 && days <= DAYS_MAX)) {
    return bad("days", `not a whole number from 1 to ${DAYS_MAX}`);
  }
  const until = days === undefined ? {} : { days };
  return { kind: "read", suppression: { address, scope: readScope, reason, source, ...until } };
}

/** Undefined: it can be suppressed. */
export function suppressedAddressProblem(address: string): string | undefined {
  const problem = addressProblem(address.startsWith("@") ? `any${address}` : address);
  if (problem !== undefined) return problem;
  return isHashable(suppressionName(address)) ? undefined : "the domain has no form that goes on the wire";
}

/** Or what is wrong with it. */
export function scopeOf(scope: string, list: string | undefined): SuppressionScope | string {
  if (!isScope(scope)) return `not a scope: ${SUPPRESSION_SCOPES.join(", ")}`;
  if (scope !== "list") return list === undefined ? { kind: scope } : "a list goes with scope list only";
  if (list === undefined) return "scope list needs the name of the list";
  return isName(list) ? { kind: scope, list } : `not a list's name: 1 to ${NAME_CHARS_MAX} characters, none of control`;
}

function isScope(word: string): word is SuppressionScope["kind"] {
  return SUPPRESSION_SCOPES.some((scope) => scope === word);
}

export function isReason(word: string): word is SuppressionReason {
  return SUPPRESSION_REASONS.some((reason) => reason === word);
}

function isName(text: string): boolean {
  return /^[^\p{Cc}\p{Cs}]+$/u.test(text) && text.length <= NAME_CHARS_MAX;
}
