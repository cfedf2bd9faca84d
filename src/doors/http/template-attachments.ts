// The attachments of a template that is pushed: what is said of each, and its octets. Whether they may be sent is for the
// template's own checks; here only what is no base64 is refused, as `postlane.enqueue` refuses it, and never guessed at.

import type { TemplateAttachment } from "../../templates/compiled-template.ts";
import { Problem } from "./problem.ts";
import { readAttachments } from "./read-email.ts";
import type { TemplateBody } from "./template-schema.ts";

export function readTemplateAttachments(given: TemplateBody["attachments"]): {
  readonly attachments: readonly TemplateAttachment[];
  readonly octets: readonly Uint8Array[];
} {
  const read = (readAttachments(given) ?? []).map(({ content, ...said }, place) => {
    const octets = decodeBase64(content);
    if (octets !== undefined) return { attachment: { ...said, bytes: octets.length }, octets };
    throw new Problem("bad_field", `attachments[${place}].content: not base64`, {
      hint: "Give the octets in base64 (RFC 4648 section 4, with its padding).",
      field: "attachments",
    });
  });
  return { attachments: read.map(({ attachment }) => attachment), octets: read.map(({ octets }) => octets) };
}

/** White space is let through, as by PostgreSQL. */
function decodeBase64(content: string): Buffer | undefined {
  const text = content.replaceAll(/[ \t\r\n]+/g, "");
  const isBase64 = text.length % 4 === 0 && !/[^A-Za-z0-9+/]/.test(text.replace(/={1,2}$/, ""));
  return isBase64 ? Buffer.from(text, "base64") : undefined;
}
