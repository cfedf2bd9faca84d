// What kind of content an attachment is: as its caller says, checked against the grammar of RFC 2045 §5.1, or by its
// file's extension. Refuses what base64 may not carry, and never looks into the octets.

import { ComposeRefused } from "./compose-refused.ts";

/** As the lines of a header, without the line break at the end. */
export function contentTypeLine(given: string, field: string): string {
  const problem = contentTypeProblem(given);
  if (problem !== undefined) throw new ComposeRefused(field, problem);
  const [type, ...parameters] = given.split(PARAMETER_START);
  return [type!.trimEnd(), ...parameters].join(";\r\n ");
}

/** Kept in step with `postlane.check_attachments`. */
export function contentTypeProblem(given: string): string | undefined {
  if (given.length > CONTENT_TYPE_CHARS_MAX) return `has more than ${CONTENT_TYPE_CHARS_MAX} characters`;
  if (!CONTENT_TYPE.test(given)) return 'not a content type such as "application/pdf" or "text/csv; charset=utf-8"';
  // RFC 2046 §5.2.1, RFC 2045 §6.4: neither may be in base64, and an attachment always is.
  if (/^(?:message|multipart)\//i.test(given))
    return "no attachment is sent as message/… or multipart/…, which may not be in base64: use application/octet-stream";
  return undefined;
}

export function contentTypeOf(filename: string): string {
  const extension = /\.([A-Za-z0-9]{1,10})$/.exec(filename)?.[1]?.toLowerCase() ?? "";
  return BY_EXTENSION.get(extension) ?? "application/octet-stream";
}

const CONTENT_TYPE_CHARS_MAX = 255;
const TOKEN = "[A-Za-z0-9!#$%&'*+.^_`{|}~-]+";
const CONTENT_TYPE = new RegExp(`^${TOKEN}/${TOKEN}(?: *; *${TOKEN}=(?:${TOKEN}|"[ !#-\\[\\]-~]*"))*$`);
/** A semicolon that is not within quotes. */
const PARAMETER_START = / *; *(?=(?:[^"]*"[^"]*")*[^"]*$)/;

// What people attach. A text has no charset here: nobody has said in which one it is. An .eml is a message, which base64
// may not carry.
const BY_EXTENSION: ReadonlyMap<string, string> = new Map([
  ["avif", "image/avif"],
  ["bmp", "image/bmp"],
  ["csv", "text/csv"],
  ["doc", "application/msword"],
  ["docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
  ["gif", "image/gif"],
  ["gz", "application/gzip"],
  ["heic", "image/heic"],
  ["htm", "text/html"],
  ["html", "text/html"],
  ["ics", "text/calendar"],
  ["jpeg", "image/jpeg"],
  ["jpg", "image/jpeg"],
  ["json", "application/json"],
  ["md", "text/markdown"],
  ["mov", "video/quicktime"],
  ["mp3", "audio/mpeg"],
  ["mp4", "video/mp4"],
  ["odp", "application/vnd.oasis.opendocument.presentation"],
  ["ods", "application/vnd.oasis.opendocument.spreadsheet"],
  ["odt", "application/vnd.oasis.opendocument.text"],
  ["pdf", "application/pdf"],
  ["pkpass", "application/vnd.apple.pkpass"],
  ["png", "image/png"],
  ["ppt", "application/vnd.ms-powerpoint"],
  ["pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"],
  ["rtf", "application/rtf"],
  ["svg", "image/svg+xml"],
  ["tif", "image/tiff"],
  ["tiff", "image/tiff"],
  ["txt", "text/plain"],
  ["vcf", "text/vcard"],
  ["wav", "audio/wav"],
  ["webm", "video/webm"],
  ["webp", "image/webp"],
  ["xls", "application/vnd.ms-excel"],
  ["xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"],
  ["xml", "application/xml"],
  ["zip", "application/zip"],
]);
