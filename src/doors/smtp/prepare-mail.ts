// A submitted mail becomes the mail that is sent: one Received on top, Message-ID and Date where they are missing (RFC
// 6409 §8), Bcc and what was for Postlane alone left out. Everything else stays as it came, octet for octet: every other
// field, the body, lines of any length. Pure, in one pass.

import { isControlHeader } from "./control-headers.ts";
import type { HeaderField } from "./read-header.ts";

/** Whole fields, each with its line end. */
export interface Additions {
  readonly received: string;
  readonly messageId: string;
  readonly date: string;
}

export function prepareMail(content: Buffer, fields: readonly HeaderField[], additions: Additions): Buffer {
  const names = new Set(fields.map(({ name }) => name));
  const pieces: Buffer[] = [Buffer.from(additions.received)];
  if (!names.has("message-id")) pieces.push(Buffer.from(additions.messageId));
  if (!names.has("date")) pieces.push(Buffer.from(additions.date));
  let at = 0;
  for (const field of fields.filter(isLeftOut)) {
    pieces.push(content.subarray(at, field.start));
    at = field.end;
  }
  pieces.push(content.subarray(at));
  return Buffer.concat(pieces);
}

const BLIND: ReadonlySet<string> = new Set(["bcc", "resent-bcc"]);

function isLeftOut(field: HeaderField): boolean {
  return BLIND.has(field.name) || isControlHeader(field);
}
