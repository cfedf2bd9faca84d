// Tag lists as DKIM and DMARC write them: `v=DKIM1; k=rsa; p=…` (RFC 6376 §3.2). Pure; a text of any length is read once.

/** Longer texts are no record: they do not fit a DNS answer that anybody waits for. */
const TEXT_CHARS_MAX = 8192;

/** Undefined: it is no tag list, or a tag stands there twice. Names in lower case, values without white space around. */
export function parseTags(text: string): ReadonlyMap<string, string> | undefined {
  if (text.length > TEXT_CHARS_MAX) return undefined;
  const tags = new Map<string, string>();
  for (const part of text.split(";")) {
    if (part.trim() === "") continue;
    const at = part.indexOf("=");
    const name = part.slice(0, Math.max(at, 0)).trim().toLowerCase();
    if (!/^[a-z][a-z0-9_]*$/.test(name) || tags.has(name)) return undefined;
    tags.set(name, part.slice(at + 1).trim());
  }
  return tags;
}
