// The header of a mail as its fields (RFC 5322 §2.2), of ours or of one that came by SMTP, with whatever is odd in it. The
// text has one character for each octet. A line that is no field belongs to nothing and is passed over.

export interface MailHeader {
  /** The values by lower-case names, as they stand in the mail, the first first. */
  readonly fields: ReadonlyMap<string, readonly string[]>;
  readonly bodyAt: number;
}

export function readHeader(text: string): MailHeader {
  const fields = new Map<string, string[]>();
  let at = 0;
  while (at < text.length && !text.startsWith("\r\n", at)) {
    const end = endOfField(text, at);
    const colon = text.indexOf(":", at);
    if (colon > at && colon < end) {
      const name = trimEndBlanks(text.slice(at, colon)).toLowerCase();
      const value = text.slice(colon + 1, end);
      const values = fields.get(name);
      if (values === undefined) fields.set(name, [value]);
      else values.push(value);
    }
    at = end + 2;
  }
  return { fields, bodyAt: Math.min(at + 2, text.length) };
}

function endOfField(text: string, start: number): number {
  let end = text.indexOf("\r\n", start);
  while (end >= 0) {
    const next = text.charCodeAt(end + 2);
    if (next !== 0x20 && next !== 0x09) return end;
    end = text.indexOf("\r\n", end + 2);
  }
  return text.length;
}

function trimEndBlanks(name: string): string {
  let end = name.length;
  while (end > 0 && (name[end - 1] === " " || name[end - 1] === "\t")) end--;
  return name.slice(0, end);
}
