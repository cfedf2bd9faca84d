// The fields of a form, as browsers and mail clients send them: urlencoded, or as multipart/form-data (RFC 7578). Pure; the
// body is anybody's, and what cannot be read has no fields.

export interface FormFields {
  /** The first value of that name. */
  get(name: string): string | null | undefined;
}

export function readFormFields(contentType: string, body: Buffer): FormFields {
  return /^multipart\/form-data\b/i.test(contentType.trim())
    ? multipartFields(contentType, body.toString("latin1"))
    : new URLSearchParams(body.toString("latin1"));
}

/** Of a form; a mail client sends one. */
const PARTS_MAX = 10;

function multipartFields(contentType: string, body: string): FormFields {
  const fields = new Map<string, string>();
  const found = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType);
  const boundary = found?.[1] ?? found?.[2];
  if (boundary === undefined) return fields;
  for (const part of body.split(`--${boundary}`, PARTS_MAX + 1).slice(1)) {
    const end = /\r?\n\r?\n/.exec(part);
    if (end === null) continue;
    const name = /\bname="?([^";\r\n]{1,100})"?/i.exec(part.slice(0, end.index))?.[1];
    if (name === undefined || fields.has(name)) continue;
    fields.set(name, part.slice(end.index + end[0].length).replace(/\r?\n$/, ""));
  }
  return fields;
}
