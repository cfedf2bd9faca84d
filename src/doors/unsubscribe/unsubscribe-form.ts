// What a POST says: the one key and value of RFC 8058 §3.1, as a form or as multipart/form-data (RFC 7578), from a mail
// client or from the page's own buttons. Pure; the body is anybody's, and anything else is read as nothing.

export type FormRead =
  /** `page`: by the button of the page, so that a person reads the answer. */
  | { readonly kind: "unsubscribe"; readonly door: "one_click" | "page"; readonly isAll: boolean }
  | { readonly kind: "other" };

/** The field of the page's buttons, and its values. */
export const PAGE_FIELD = "page";
export const PAGE_VALUES = { list: "list", all: "all" } as const;

export function readUnsubscribeForm(contentType: string, body: Buffer): FormRead {
  const fields = /^multipart\/form-data\b/i.test(contentType.trim())
    ? multipartFields(contentType, body.toString("latin1"))
    : new URLSearchParams(body.toString("latin1"));
  if (fields.get("List-Unsubscribe")?.trim().toLowerCase() !== "one-click") return { kind: "other" };
  const page = fields.get(PAGE_FIELD) ?? undefined;
  return { kind: "unsubscribe", door: page === undefined ? "one_click" : "page", isAll: page === PAGE_VALUES.all };
}

/** Of a form; a mail client sends one. */
const PARTS_MAX = 10;

/** The first value of each name. */
function multipartFields(contentType: string, body: string): ReadonlyMap<string, string> {
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
