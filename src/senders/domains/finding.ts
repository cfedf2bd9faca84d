// What a look at one thing in the DNS has found: how it stands, which rule of the big providers it is about, and exactly
// what to publish. And the rules, in the codes that they refuse with.

import type { DnsRecord } from "./txt-record.ts";

export type FindingStatus =
  | "ok"
  /** It works; better is possible. */
  | "advice"
  | "missing"
  | "wrong"
  /** The DNS gave no answer: nothing is known of it. */
  | "not_asked";

export interface Finding {
  readonly check: "dkim" | "spf" | "spf_address" | "dmarc" | "alignment" | "ptr" | "from_domain" | "return_domain";
  /** The name that was asked for. */
  readonly name: string;
  readonly status: FindingStatus;
  /** Mail is refused, or lost, without it. */
  readonly is_required: boolean;
  /** A sentence. */
  readonly found: string;
  /** What it means with the big providers; null: it is as they want it. */
  readonly rule: string | null;
  readonly publish: readonly DnsRecord[];
}

/** Gmail and Yahoo since February 2024, Outlook.com since May 2025; for 5,000 messages a day and more, some for all. */
export const RULES = {
  dkim: "Gmail 5.7.30 and 5.7.26, Yahoo, Outlook 5.7.515: bulk mail must pass DKIM",
  spf: "Gmail 5.7.27 and 5.7.26, Yahoo, Outlook 5.7.515: bulk mail must pass SPF",
  dmarc:
    "Gmail 5.7.40 and 4.7.31, Yahoo, Outlook 5.7.515: the domain of From must have a DMARC record, p=none at least",
  alignment: "Gmail 5.7.32, Yahoo, Outlook 5.7.515: From must align with the domain that passes SPF or DKIM",
  ptr: "Gmail 5.7.25 and 4.7.23, Yahoo: the address must have a name that leads back to it",
  from: "Outlook: From must be an address that takes answers; many refuse domains without mail",
  returns: "Postlane: failure notices from other servers are lost, and nothing becomes bounced by them",
} as const;

export function isFailed({ is_required: isRequired, status }: Finding): boolean {
  return isRequired && status !== "ok" && status !== "advice";
}

export function okay(check: Finding["check"], name: string, found: string): Finding {
  return { check, name, status: "ok", is_required: true, found, rule: null, publish: [] };
}

export function notAsked(check: Finding["check"], name: string, reason: string, isRequired = true): Finding {
  const found = `could not be asked (${reason}): try again, or see \`resolvers\``;
  return { check, name, status: "not_asked", is_required: isRequired, found, rule: null, publish: [] };
}
