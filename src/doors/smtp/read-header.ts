// The header of a mail as places in its octets, nothing of it copied or changed: where each field begins and ends, its
// continuation lines included, up to the first empty line. A line that is no field is passed over and kept, as other
// mailers do. Assumes lines that end in CR LF (the content was read by `ContentReader`). One look at each octet.

export interface HeaderField {
  /** In lower case; empty: a line that is no field. */
  readonly name: string;
  readonly start: number;
  readonly valueStart: number;
  /** Behind its last line's end. */
  readonly end: number;
}

export type HeaderRead =
  | { readonly kind: "header"; readonly fields: readonly HeaderField[] }
  | { readonly kind: "refused"; readonly why: "too_long" | "begins_amid_a_field" };

/** Postfix takes 100 KB for one field; what is longer is no header but a body without the empty line before it. */
export const HEADER_BYTES_MAX = 256 * 1024;

const LF = 10;
const CR = 13;
const TAB = 9;
const SPACE = 32;
const COLON = 58;

export function readHeader(content: Buffer): HeaderRead {
  const fields: HeaderField[] = [];
  let at = 0;
  while (at < content.length && !(content[at] === CR && content[at + 1] === LF)) {
    const newline = content.indexOf(LF, at);
    const end = newline === -1 ? content.length : newline + 1;
    if (end > HEADER_BYTES_MAX) return { kind: "refused", why: "too_long" };
    if (content[at] === SPACE || content[at] === TAB) {
      const last = fields.pop();
      // It would become part of what is put on top.
      if (last === undefined) return { kind: "refused", why: "begins_amid_a_field" };
      fields.push({ ...last, end });
    } else fields.push(readField(content, at, end));
    at = end;
  }
  return { kind: "header", fields };
}

/** Unfolded (RFC 5322 §2.2.3), without the white space around it. */
export function valueOf(content: Buffer, { valueStart, end }: HeaderField): string {
  return content
    .toString("utf8", valueStart, end)
    .replaceAll(/\r\n(?=[ \t])/g, "")
    .trim();
}

/** White space before the colon is obsolete, and still taken for a field (RFC 5322 §4.5.8). */
function readField(content: Buffer, start: number, end: number): HeaderField {
  let at = start;
  while (at < end && isNameOctet(content[at]!)) at++;
  const nameEnd = at;
  while (content[at] === SPACE || content[at] === TAB) at++;
  if (nameEnd === start || content[at] !== COLON) return { name: "", start, valueStart: end, end };
  return { name: content.toString("latin1", start, nameEnd).toLowerCase(), start, valueStart: at + 1, end };
}

function isNameOctet(octet: number): boolean {
  return octet > SPACE && octet < 127 && octet !== COLON;
}
