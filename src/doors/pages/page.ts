// What every page that people open from a mail has alike: plain HTML, that needs no script, no image and nothing from anywhere
// else. All that comes from outside, a list's name, a sender, an address, is escaped, and the headers forbid the rest.

import { createHash } from "node:crypto";
import { parseMailbox } from "../../mail/address.ts";
import { LANGUAGES, type Language } from "./languages.ts";
import { PAGE_WORDS } from "./page-words.ts";

export interface Page {
  /** Plain text. */
  readonly title: string;
  /** HTML, of the functions below. */
  readonly body: readonly string[];
}

export function printPage({ title, body }: Page, language: Language): string {
  return (
    `<!doctype html>\n<html lang="${language}" dir="${LANGUAGES[language]}">\n<head>\n<meta charset="utf-8">\n` +
    `<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex, nofollow">\n` +
    `<meta name="referrer" content="no-referrer">\n<title>${escapeHtml(title)}</title>\n<style>${STYLE}</style>\n</head>\n` +
    `<body>\n<main>\n${body.filter(Boolean).join("\n")}\n</main>\n</body>\n</html>\n`
  );
}

/** Of every answer with a page. */
export function pageHeaders(language: Language): Readonly<Record<string, string>> {
  return {
    "content-type": "text/html; charset=utf-8",
    "content-language": language,
    "content-security-policy":
      `default-src 'none'; style-src '${STYLE_HASH}'; form-action 'self'; ` + "frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex, nofollow",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
  };
}

// ---- pages that are the same for all -----------------------------------------------------------------------------------

/** The link is none of ours. */
export function invalidPage(language: Language): Page {
  const { invalidTitle, invalid } = PAGE_WORDS[language];
  return told(invalidTitle, invalid);
}

export function tooOldPage(language: Language, text: string): Page {
  return told(PAGE_WORDS[language].invalidTitle, text);
}

export function notNowPage(language: Language): Page {
  const { notNowTitle, notNow } = PAGE_WORDS[language];
  return told(notNowTitle, notNow);
}

function told(title: string, text: string): Page {
  return { title, body: [heading(title), paragraph(escapeHtml(text))] };
}

// ---- parts of pages ----------------------------------------------------------------------------------------------------

export function heading(text: string, isDone = false): string {
  return `<h1>${isDone ? '<span class="mark" aria-hidden="true">✓</span> ' : ""}${escapeHtml(text)}</h1>`;
}

export function paragraph(html: string): string {
  return `<p>${html}</p>`;
}

export function quiet(text: string): string {
  return `<p class="quiet">${escapeHtml(text)}</p>`;
}

/** A name may run in the other direction than the sentence. */
export function naming(sentence: string, list: string): string {
  return escapeHtml(sentence).replace("LIST", () => `<bdi>${escapeHtml(list)}</bdi>`);
}

/** Whom the mail is from: a mailbox. */
export function from(sender: string): string {
  const parsed = parseMailbox(sender);
  const name = parsed.kind === "mailbox" ? (parsed.name ?? parsed.address) : "";
  return name === "" ? "" : `<p class="from"><bdi>${escapeHtml(name)}</bdi></p>`;
}

/** Not the whole: whoever the mail was forwarded to may press the button, but need not learn the address by it. */
export function maskedAddress(language: Language, recipient: string): string {
  const at = recipient.lastIndexOf("@");
  const [first = ""] = recipient;
  const masked = escapeHtml(`${first}…${recipient.slice(at)}`);
  return `<p class="quiet">${escapeHtml(PAGE_WORDS[language].address)}: <bdi dir="ltr">${masked}</bdi></p>`;
}

/** `name` and `value` are ours. Without an action: it goes to the address of the page, whatever that is behind a proxy. */
export function form(
  button: { readonly text: string; readonly name: string; readonly value: string; readonly style: "first" | "second" },
  hidden: Readonly<Record<string, string>> = {},
): string {
  const fields = Object.entries(hidden).map(
    ([name, value]) => `<input type="hidden" name="${name}" value="${value}">\n`,
  );
  return (
    `<form method="post">\n${fields.join("")}` +
    `<button class="${button.style}" name="${button.name}" value="${button.value}">${escapeHtml(button.text)}</button>\n</form>`
  );
}

export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

// A finger needs 44 pixels; text of 16 and more is not zoomed into by phones.
const STYLE = [
  ":root{color-scheme:light dark;--page:#f3f4f6;--card:#fff;--text:#1f2430;--quiet:#5b6472;--line:#d9dde3;--button:#1d5fd1;--on:#fff;--done:#157347}",
  "@media(prefers-color-scheme:dark){:root{--page:#14171c;--card:#1e232b;--text:#eceff4;--quiet:#a5aebb;--line:#343b46;--button:#7fb0ff;--on:#0c1a33;--done:#6fd39b}}",
  "*{box-sizing:border-box}",
  "body{margin:0;min-height:100vh;padding:16px;display:flex;align-items:center;justify-content:center;background:var(--page);color:var(--text);font:17px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif}",
  "main{width:100%;max-width:480px;padding:26px 22px;background:var(--card);border:1px solid var(--line);border-radius:14px;overflow-wrap:anywhere}",
  "h1{margin:0 0 12px;font-size:23px;line-height:1.3;text-wrap:balance}",
  "p{margin:0 0 12px}",
  "p:last-child{margin-bottom:0}",
  ".from{margin:0 0 8px;color:var(--quiet);font-weight:600}",
  ".quiet{color:var(--quiet);font-size:16px}",
  ".mark{color:var(--done)}",
  "form{margin:20px 0 0}",
  "button{width:100%;min-height:52px;padding:12px 16px;font:inherit;font-weight:600;border-radius:10px;cursor:pointer}",
  ".first{border:1px solid var(--button);background:var(--button);color:var(--on)}",
  ".second{border:1px solid var(--line);background:transparent;color:var(--text)}",
  "button:hover{filter:brightness(1.08)}",
  "button:focus-visible{outline:3px solid var(--button);outline-offset:3px}",
].join("");

const STYLE_HASH = `sha256-${createHash("sha256").update(STYLE).digest("base64")}`;
