// From a request to a submission: by which key, into which lane, from whom. What every email goes through, alone or in a
// batch. Takes out of the key's rate before anything is accepted.

import type { Email, Submission } from "../../submission/submission.ts";
import { parseMailbox } from "../../mail/address.ts";
import { laneFor, whyNotAllowed } from "../../senders/may-submit.ts";
import type { Sender } from "../../senders/sender.ts";
import type { Caller } from "./authorize.ts";
import type { EmailBody } from "./email-schema.ts";
import { Problem } from "./problem.ts";
import { readEmail } from "./read-email.ts";

/** What is to be done when nothing is known of the commit. */
export const MAYBE_QUEUED =
  "It may have been queued all the same: send it again with the same Idempotency-Key, and it is queued once. Without a " +
  "key it may go out twice.";

/** `defaultFrom`: the mailbox of mail that names none. */
export function submissionOf(body: EmailBody, sender: Sender, defaultFrom: string, key?: string): Submission {
  const email = withKey(readEmail(body), key);
  const lane = laneFor(sender, email.lane);
  if (email.template !== undefined) requireFrom(email.from, sender);
  requireAllowed(sender, lane, email.from ?? defaultFrom);
  return { kind: "email", door: "http", credential: sender.credential, email: { ...email, lane } };
}

/** `from`: undefined: nobody has said yet whom it is from. */
export function requireAllowed(sender: Sender, lane: string, from: string | undefined): void {
  const refused = whyNotAllowed(sender, { lane, from: from === undefined ? [] : [senderAddress(from)] });
  if (refused === undefined) return;
  const { field, message, hint } = refused;
  throw new Problem(field === "lane" ? "lane_not_allowed" : "from_not_allowed", message, { hint, field });
}

/** A template may be from a domain that the key may not use, and is looked up later. */
export function requireFrom(from: string | undefined, { fromDomains }: Sender): void {
  if (from !== undefined || fromDomains === undefined) return;
  throw new Problem("from_not_allowed", "this key must say in `from` whom mail with a template is from", {
    hint: `Give "from" with one of its domains: ${fromDomains.join(", ")}. Or use a key without domains.`,
    field: "from",
  });
}

export async function takeFromRate({ entry, sender, patience }: Caller, count: number): Promise<void> {
  const answer = await patience.within(entry.keyring.take(sender, count));
  if (answer.kind === "granted") return;
  throw new Problem("rate_limited", "the key submits more than its rate allows", {
    hint: "Nothing was queued. Send it again when the time in Retry-After is over.",
    retryAfterS: Math.max(1, Math.ceil(answer.retryAfterS)),
  });
}

function withKey(email: Email, key: string | undefined): Email {
  if (key === undefined) return email;
  if (email.idempotency_key !== undefined && email.idempotency_key !== key) {
    throw new Problem("bad_idempotency_key", "the request has two idempotency keys", {
      hint: "Send the header field Idempotency-Key, or X-Postlane-Idempotency-Key among `headers`: one of the two.",
      field: "headers",
    });
  }
  return { ...email, idempotency_key: key };
}

/** One that cannot be read could be from a domain that the key may not use. */
function senderAddress(from: string): string {
  const parsed = parseMailbox(from);
  if (parsed.kind === "mailbox") return parsed.address;
  throw new Problem("bad_address", `field "from" is not an address: ${parsed.reason}`, {
    hint: 'Give "local@domain" or "Name <local@domain>".',
    field: "from",
  });
}
