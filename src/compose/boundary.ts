// The line between the parts of a multipart (RFC 2046 §5.1.1), derived from the Message-ID, so that a mail forwarded
// inside another one keeps its own. It opens with `=_`, which neither quoted-printable nor base64 can contain (RFC 2045
// §6.7); a part that goes out as it is has to be looked through.

import { createHash } from "node:crypto";

/** `plainParts`: the parts that are not encoded. `mark`: tells multiparts within each other apart. */
export function boundaryOf(messageId: string, plainParts: readonly string[], mark = ""): string {
  const base = `=_${mark}${messageId.length <= ID_CHARS_MAX ? messageId.replace(/[^0-9A-Za-z.-]/g, "-") : digest(messageId)}`;
  let boundary = base;
  for (let another = 1; plainParts.some((part) => part.includes(boundary)); another++) boundary = `${base}.${another}`;
  return boundary;
}

/** A boundary has at most 70 characters; this leaves room for `=_`, a mark and a counter. */
const ID_CHARS_MAX = 56;

function digest(messageId: string): string {
  return createHash("sha256").update(messageId).digest("hex").slice(0, 40);
}
