// The fields of a request become those of an email: `null` is left out, what an X-Postlane header says becomes its field,
// and what Postlane cannot do yet is refused by name, never dropped. What the fields may hold, the rules of entry say.

import type { Email, EmailAttachment } from "../../submission/submission.ts";
import type { EmailBody } from "./email-schema.ts";
import { Problem } from "./problem.ts";

/** By the lower-case name of the header. */
const FIELD_OF_HEADER = {
  "x-postlane-lane": "lane",
  "x-postlane-list": "list",
  "x-postlane-expires-at": "expires_at",
  "x-postlane-idempotency-key": "idempotency_key",
} as const;
type HeaderField = (typeof FIELD_OF_HEADER)[keyof typeof FIELD_OF_HEADER];

export function readEmail(body: EmailBody): Email {
  refuseUnsupported(body);
  const { attachments, topic_id: _topic, headers, ...given } = body;
  const fields = withoutNulls({ ...given, attachments: readAttachments(attachments) });
  const { kept, lifted } = liftHeaders(headers ?? {});
  for (const [field, value] of Object.entries(lifted)) refuseTwice(field, fields[field], value);
  return { ...fields, ...lifted, ...(kept === undefined ? {} : { headers: kept }) } as unknown as Email;
}

function refuseUnsupported({ topic_id }: EmailBody): void {
  if (topic_id !== null && topic_id !== undefined) throw unsupported("topic_id", "Leave it out.");
}

export function readAttachments(given: EmailBody["attachments"]): readonly EmailAttachment[] | undefined {
  if (given === null || given === undefined || given.length === 0) return undefined;
  given.forEach(({ path }, place) => {
    if (path === null || path === undefined) return;
    throw new Problem("not_supported", `attachments[${place}].path: nothing is fetched`, {
      hint: "Read the file yourself, and give it in base64 as `content`.",
      field: "attachments",
    });
  });
  return given.map((attachment) => withoutNulls(attachment) as unknown as EmailAttachment);
}

function unsupported(field: string, hint: string): Problem {
  return new Problem("not_supported", `field "${field}" is not supported by this version`, { hint, field });
}

function withoutNulls(fields: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== undefined));
}

function liftHeaders(headers: Readonly<Record<string, string>>): {
  readonly kept: Readonly<Record<string, string>> | undefined;
  readonly lifted: Readonly<Partial<Record<HeaderField, string>>>;
} {
  const kept: [string, string][] = [];
  const lifted: Partial<Record<HeaderField, string>> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!name.toLowerCase().startsWith("x-postlane-")) {
      kept.push([name, value]);
      continue;
    }
    const field = fieldOf(name);
    refuseTwice(field, lifted[field], value);
    lifted[field] = value;
  }
  return { kept: kept.length === 0 ? undefined : Object.fromEntries(kept), lifted };
}

/** A misspelt one would be sent to the world, and do nothing. */
function fieldOf(name: string): HeaderField {
  const lower = name.toLowerCase();
  if (Object.hasOwn(FIELD_OF_HEADER, lower)) return FIELD_OF_HEADER[lower as keyof typeof FIELD_OF_HEADER];
  throw new Problem("bad_field", `headers: there is no "${name.slice(0, 100)}"`, {
    hint: "Known: X-Postlane-Lane, X-Postlane-List, X-Postlane-Expires-At, X-Postlane-Idempotency-Key.",
    field: "headers",
  });
}

function refuseTwice(field: string, one: unknown, other: string): void {
  if (one === undefined || one === other) return;
  throw new Problem("bad_field", `"${field}" is given twice, and not the same`, {
    hint: "Give the field, or the header, once.",
    field,
  });
}
