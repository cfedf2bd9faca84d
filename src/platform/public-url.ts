// `public_url` as people write it: where the world reaches the front. HTTPS, since mail clients take nothing else for
// one-click (RFC 8058 §3.1); plain HTTP on this machine alone, to try it out. Nothing is looked up.

import { isLoopback } from "./config-host.ts";

/** A header line that holds it must stay short. */
const PUBLIC_URL_CHARS_MAX = 500;

/** Without a slash at its end; undefined when it is none. */
export function parsePublicUrl(text: string): string | undefined {
  if (text.length > PUBLIC_URL_CHARS_MAX || !PLAIN.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const host = url.hostname.replaceAll(/[[\]]/g, "");
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(host))) return undefined;
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") return undefined;
  return (url.origin + url.pathname).replace(/\/+$/, "");
}

/** The path alone, empty or such as `/mail`. */
export function pathOfPublicUrl(publicUrl: string): string {
  return new URL(publicUrl).pathname.replace(/\/+$/, "");
}

/** Printable, and nothing that would end it in a header or mean something to a router of paths. */
const PLAIN = /^https?:\/\/[A-Za-z0-9[\]:._~/-]+$/;
