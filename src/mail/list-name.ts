// The name of a list: what a recipient unsubscribes from, as the site calls it. It stands in headers, in addresses of lists
// (RFC 2919) and in the page to unsubscribe, so it has few characters. The rules of entry say the same of an email's.

export const LIST_NAME_EXPECTED = '1 to 64 of A-Z, a-z, 0-9, ".", "_" and "-"';

export function isListName(text: string): boolean {
  return /^[A-Za-z0-9._-]{1,64}$/.test(text);
}

/** What of a text can be a list's name: `Members 2027` → `Members-2027`. */
export function listNameFrom(text: string): string {
  const fit = text
    .normalize("NFKD")
    .replaceAll(/\p{M}/gu, "")
    .replaceAll(/[^A-Za-z0-9._-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, LIST_NAME_CHARS_MAX);
  return fit === "" ? "list" : fit;
}

const LIST_NAME_CHARS_MAX = 64;
