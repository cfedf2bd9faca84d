// Parts put together to one (RFC 2046 §5.1): delimiters, boundary, and the header that names it. What is nested has
// another kind, and so a boundary that does not begin as its neighbour's does: readers compare beginnings (§5.1.2).

import { boundaryOf } from "./boundary.ts";

export interface MimePart {
  /** Lines, each ended by CRLF. */
  readonly headers: string;
  /** CRLF lines; the last one may be unbroken. */
  readonly body: string;
}

export type MultipartKind = "alternative" | "related" | "mixed";

/**
 * `plainParts`: the bodies anywhere within that are not encoded. `root`: with `related`, what kind of content its first
 * part is (RFC 2387 §3.1).
 */
export function multipart(
  kind: MultipartKind,
  parts: readonly MimePart[],
  given: { readonly messageId: string; readonly plainParts: readonly string[]; readonly root?: string },
): MimePart {
  const boundary = boundaryOf(given.messageId, given.plainParts, BOUNDARY_MARKS[kind]);
  let body = "";
  // One string onto another, not a list joined: a large part is then not copied here.
  for (const part of parts) body += `--${boundary}\r\n${part.headers}\r\n${part.body}\r\n`;
  return { headers: multipartHeader(kind, boundary, given.root), body: `${body}--${boundary}--` };
}

export function multipartHeader(kind: MultipartKind, boundary: string, root?: string): string {
  const type = root === undefined ? "" : `\r\n type="${root}";`;
  return `Content-Type: multipart/${kind};${type}\r\n boundary="${boundary}"\r\n`;
}

/** What follows begins with a character that is no underscore, so none of these is the beginning of another. */
const BOUNDARY_MARKS: Readonly<Record<MultipartKind, string>> = { alternative: "", related: "r_", mixed: "m_" };
