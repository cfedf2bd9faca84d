// The header of a mail as the sendmail command needs it: its fields octet by octet, the recipients that it names, and what
// is added or taken away. A mail without a header gets one. Text stands for octets (latin1), so that what is not touched
// stays as it came.

export interface MailField {
  /** Lower case. */
  readonly name: string;
  /** The whole field with its folded lines and their CRLFs. */
  readonly text: string;
}

export interface MailHeader {
  readonly fields: readonly MailField[];
  /** Octets of the mail that are the header, with the empty line if there is one. */
  readonly bytes: number;
}

/** RFC 5322 §2.2; the blank before the colon is of its obsolete syntax (§4.5). */
const FIELD = /([!-9;-~]+)[ \t]*:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*/y;

/** Ends at the empty line, or before the first line that is no field. */
export function readHeader(mail: Buffer): MailHeader {
  const text = mail.toString("latin1");
  const fields: MailField[] = [];
  let at = 0;
  for (;;) {
    FIELD.lastIndex = at;
    const found = FIELD.exec(text);
    if (found === null) break;
    fields.push({ name: found[1]!.toLowerCase(), text: found[0] });
    at = FIELD.lastIndex;
  }
  return { fields, bytes: text.startsWith("\r\n", at) ? at + 2 : at };
}

export function writeMail(fields: readonly MailField[], mail: Buffer, headerBytes: number): Buffer {
  const head = `${fields.map(({ text }) => text).join("")}\r\n`;
  return Buffer.concat([Buffer.from(head, "latin1"), mail.subarray(headerBytes)]);
}

/** The field's value is text; what is not ASCII becomes UTF-8. */
export function makeField(name: string, value: string): MailField {
  const octets = Buffer.from(`${name}: ${value}\r\n`, "utf8").toString("latin1");
  return { name: name.toLowerCase(), text: octets };
}

/** Of To, Cc and Bcc; of their Resent- kin alone if there is one (RFC 5322 §3.6.6). */
export function recipientsOf({ fields }: MailHeader): readonly string[] {
  const resent = fields.filter(({ name }) => /^resent-(?:to|cc|bcc)$/.test(name));
  const named = resent.length > 0 ? resent : fields.filter(({ name }) => /^(?:to|cc|bcc)$/.test(name));
  return named.flatMap(({ text }) => addressesIn(text.slice(text.indexOf(":") + 1)));
}

/** Reads character by character: names in quotes, comments and groups may hold any of the delimiters. */
export function addressesIn(octets: string): readonly string[] {
  const text = Buffer.from(octets, "latin1")
    .toString("utf8")
    .replaceAll(/[\r\n]/g, "");
  const found: string[] = [];
  let plain = "";
  let bracketed: string | undefined;
  const endAddress = (): void => {
    const address = (bracketed ?? plain).replaceAll(/[ \t]/g, "");
    if (address !== "") found.push(address);
    plain = "";
    bracketed = undefined;
  };
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    const past = endOfQuoteOrComment(text, at);
    if (past !== undefined) {
      // A comment is nothing; a quoted string may be a local part.
      if (character === '"') plain += text.slice(at, past);
      at = past - 1;
    } else if (character === "<") {
      const end = text.indexOf(">", at);
      bracketed = text.slice(at + 1, end < 0 ? text.length : end);
      at = end < 0 ? text.length : end;
    } else if (character === "," || character === ";") endAddress();
    // The name of a group (RFC 5322 §3.4).
    else if (character === ":") plain = "";
    else plain += character;
  }
  endAddress();
  return found;
}

/** Behind the quoted string or the comment that begins here; undefined if none does. */
function endOfQuoteOrComment(text: string, from: number): number | undefined {
  const first = text[from];
  if (first !== '"' && first !== "(") return undefined;
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const character = text[at];
    if (character === "\\") at++;
    else if (first === '"') {
      if (at > from && character === '"') return at + 1;
    } else if (character === "(") depth++;
    else if (character === ")" && --depth === 0) return at + 1;
  }
  return text.length;
}
