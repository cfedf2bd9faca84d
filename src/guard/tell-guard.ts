// The guard's hold as a sentence, from its row, and what its next look would find. Another version of Postlane may have
// written the row.

import { REASON_CODES, tellReason, type Evidence } from "../mail/reasons.ts";
import { GuardRefused } from "./guard-refused.ts";
import type { GuardRow } from "./guard-store.ts";
import type { GuardVerdict } from "./judge-guard.ts";

/** Undefined: nothing is held, or the reason is not known here. */
export function readGuardReason({ held_at: heldAt, reason }: Pick<GuardRow, "held_at" | "reason">): string | undefined {
  if (heldAt === null || typeof reason !== "object" || reason === null) return undefined;
  const { code, evidence } = reason as { readonly code?: unknown; readonly evidence?: Evidence };
  const known = REASON_CODES.find((each) => each === code);
  const since = heldAt.toISOString().replace(/\.\d+Z$/, "Z");
  return known === undefined ? undefined : tellReason({ code: known, evidence: { since, ...evidence } });
}

/** Undefined: nothing that a person has to know. */
export function tellVerdict(verdict: GuardVerdict): string | undefined {
  switch (verdict.kind) {
    case "sound":
      return undefined;
    case "hold":
      return tellReason({ ...verdict.reason, evidence: { since: "then", ...verdict.reason.evidence } });
    case "refuse":
      return new GuardRefused(verdict.seenTimeline, verdict.knownTimeline).message;
  }
}
