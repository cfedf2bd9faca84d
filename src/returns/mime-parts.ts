// Takes a mail apart into its parts, as far as a failure notice needs it: header fields, multiparts, transfer encodings.
// The mail is anybody's, so all is bounded and linear: nothing is matched across lines, a part beyond the limits is not
// there. Never throws. (A library that does all of MIME took 2.4 s for 256 KB of empty lines.)
//
// Works on text in which each character is an octet, with LF as the line end.

export interface MimePart {
  /** By name in lower case; of a field that is there twice the first. */
  readonly fields: ReadonlyMap<string, string>;
  /** Lower case, without parameters. */
  readonly type: string;
  /** Of the Content-Type; names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
  /** As it came, not decoded. */
  readonly body: string;
}

/** Of one mail; more than any notice has. */
const PARTS_MAX = 50;
const DEPTH_MAX = 5;
const FIELDS_MAX = 1000;
/** Unfolded. Longer ones are cut: what is wanted of them stands at their beginning. */
const FIELD_CHARS_MAX = 4096;
/** RFC 2046 §5.1.1 allows 70. */
const BOUNDARY_CHARS_MAX = 200;
/** Of a Content-Type that is looked through for parameters. */
const TYPE_CHARS_MAX = 1000;

export function textOfOctets(raw: Uint8Array): string {
  return Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString("latin1").replaceAll(/\r\n?/g, "\n");
}

export function readPart(text: string): MimePart {
  const bodyAt = endOfHeader(text);
  const fields = new Map<string, string>();
  for (const field of readFieldGroups(text.slice(0, bodyAt))) {
    if (field !== undefined && !fields.has(field[0])) fields.set(...field);
  }
  const contentType = fields.get("content-type") ?? "text/plain";
  return { fields, ...readContentType(contentType), body: text.slice(bodyAt) };
}

/** The part itself and all within it, in their order. What is inside a returned mail is not looked into. */
export function partsOf(top: MimePart): readonly MimePart[] {
  const found: MimePart[] = [];
  const visit = (part: MimePart, depth: number): void => {
    if (found.length >= PARTS_MAX) return;
    found.push(part);
    const boundary = part.parameters.get("boundary");
    if (!part.type.startsWith("multipart/") || boundary === undefined || depth >= DEPTH_MAX) return;
    for (const text of splitAtBoundary(part.body, boundary)) visit(readPart(text), depth + 1);
  };
  visit(top, 0);
  return found;
}

/** The body, its transfer encoding undone, as UTF-8; what is none is replaced. */
export function decodedBody({ fields, body }: MimePart): string {
  return decodeOctets(body, (fields.get("content-transfer-encoding") ?? "").trim().toLowerCase()).toString("utf8");
}

/** `name: value` pairs with continuation lines put together; undefined stands for an empty line between. */
export function* readFieldGroups(text: string): Generator<readonly [name: string, value: string] | undefined> {
  let open: { name: string; value: string } | undefined;
  let count = 0;
  for (const line of linesOf(text)) {
    if (open !== undefined && /^[ \t]+[^ \t]/.test(line)) {
      if (open.value.length < FIELD_CHARS_MAX) open.value += ` ${line.slice(0, FIELD_CHARS_MAX).trim()}`;
      continue;
    }
    if (open !== undefined) yield [open.name, open.value.slice(0, FIELD_CHARS_MAX).trim()];
    open = undefined;
    if (line.trim() === "") yield undefined;
    const colon = line.indexOf(":");
    if (colon <= 0 || colon > NAME_CHARS_MAX || ++count > FIELDS_MAX) continue;
    open = {
      name: line.slice(0, colon).trim().toLowerCase(),
      value: line.slice(colon + 1, colon + 1 + FIELD_CHARS_MAX).trim(),
    };
  }
  if (open !== undefined) yield [open.name, open.value.slice(0, FIELD_CHARS_MAX).trim()];
}

const NAME_CHARS_MAX = 100;
/** A field group of a status part is looked at no further. */
const LINES_MAX = 5000;

function* linesOf(text: string): Generator<string> {
  let at = 0;
  for (let count = 0; at < text.length && count < LINES_MAX; count++) {
    const end = text.indexOf("\n", at);
    yield text.slice(at, end < 0 ? text.length : end);
    at = end < 0 ? text.length : end + 1;
  }
}

/** Where the body begins. Empty lines above the first field are no header yet: some hands put one there. */
function endOfHeader(text: string): number {
  let begin = 0;
  while (begin < LEADING_LINES_MAX && text[begin] === "\n") begin++;
  const end = text.indexOf("\n\n", begin);
  return end < 0 ? text.length : end + 2;
}

const LEADING_LINES_MAX = 2;

function readContentType(value: string): Pick<MimePart, "type" | "parameters"> {
  const bounded = value.slice(0, TYPE_CHARS_MAX);
  const type = /^[^;\s]*/.exec(bounded)![0].toLowerCase();
  const parameters = new Map<string, string>();
  for (const [, name = "", quoted, plain] of bounded.matchAll(/;\s*([a-z0-9-]+)\s*=\s*(?:"([^"]*)"|([^\s;"]+))/gi)) {
    if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), quoted ?? plain ?? "");
  }
  return { type, parameters };
}

/** Without the preamble and what follows the last one. A mail that was cut off has no last one: its rest is a part. */
function splitAtBoundary(body: string, boundary: string): readonly string[] {
  if (boundary === "" || boundary.length > BOUNDARY_CHARS_MAX) return [];
  const delimiter = `\n--${boundary}`;
  const text = `\n${body}`;
  const parts: string[] = [];
  let at = text.indexOf(delimiter);
  while (at >= 0 && parts.length < PARTS_MAX) {
    const lineEnd = text.indexOf("\n", at + 1);
    if (lineEnd < 0 || text.startsWith("--", at + delimiter.length)) break;
    const next = text.indexOf(delimiter, lineEnd);
    parts.push(text.slice(lineEnd + 1, next < 0 ? text.length : next));
    at = next;
  }
  return parts;
}

function decodeOctets(body: string, encoding: string): Buffer {
  switch (encoding) {
    case "base64":
      return Buffer.from(body, "base64");
    case "quoted-printable":
      return Buffer.from(unquotePrintable(body), "latin1");
    default:
      return Buffer.from(body, "latin1");
  }
}

function unquotePrintable(body: string): string {
  return body
    .replaceAll(/=[ \t]{0,80}\n/g, "")
    .replaceAll(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
