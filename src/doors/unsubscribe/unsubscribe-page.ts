// The page to unsubscribe: plain HTML with one button, that needs no script, no image and nothing from anywhere else. All
// that comes from outside, the list's name, the sender, the address, is escaped, and the headers forbid the rest.

import { createHash } from "node:crypto";
import { parseMailbox } from "../../mail/address.ts";
import { PAGE_TEXTS, type Language, type PageTexts } from "./page-texts.ts";
import { PAGE_FIELD, PAGE_VALUES } from "./unsubscribe-form.ts";

export type PageContent =
  /** `list` empty: all bulk mail. */
  | { readonly kind: "ask"; readonly list: string; readonly about: PageAbout }
  | { readonly kind: "done"; readonly list: string; readonly about: PageAbout }
  | { readonly kind: "invalid" }
  | { readonly kind: "too_old" }
  | { readonly kind: "not_now" };

export interface PageAbout {
  /** Whom the mail is from: a mailbox. */
  readonly sender: string;
  readonly recipient: string;
}

export function unsubscribePage(content: PageContent, language: Language): string {
  const texts = PAGE_TEXTS[language];
  const { title, body } = partsOf(content, texts);
  return (
    `<!doctype html>\n<html lang="${language}" dir="${texts.direction}">\n<head>\n<meta charset="utf-8">\n` +
    `<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex, nofollow">\n` +
    `<meta name="referrer" content="no-referrer">\n<title>${title}</title>\n<style>${STYLE}</style>\n</head>\n` +
    `<body>\n<main>\n${body}\n</main>\n</body>\n</html>\n`
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

function partsOf(content: PageContent, texts: PageTexts): { readonly title: string; readonly body: string } {
  switch (content.kind) {
    case "ask": {
      const question = content.list === "" ? texts.askAll : naming(texts.ask, content.list);
      const body = [
        from(content.about),
        heading(texts.title),
        paragraph(question),
        address(texts, content.about),
        form(texts.button, "list", "first"),
      ];
      return { title: escapeHtml(texts.title), body: body.join("\n") };
    }
    case "done": {
      const said = content.list === "" ? texts.doneAll : naming(texts.done, content.list);
      const body = [
        from(content.about),
        heading(texts.doneTitle, true),
        paragraph(said),
        address(texts, content.about),
        `<p class="quiet">${escapeHtml(texts.late)}</p>`,
        content.list === "" ? "" : form(texts.allButton, "all", "second"),
      ];
      return { title: escapeHtml(texts.doneTitle), body: body.filter(Boolean).join("\n") };
    }
    case "invalid":
      return told(texts.invalidTitle, texts.invalid);
    case "too_old":
      return told(texts.invalidTitle, texts.tooOld);
    case "not_now":
      return told(texts.notNowTitle, texts.notNow);
  }
}

function told(title: string, text: string) {
  return { title: escapeHtml(title), body: [heading(title), paragraph(escapeHtml(text))].join("\n") };
}

function heading(text: string, isDone = false): string {
  return `<h1>${isDone ? '<span class="mark" aria-hidden="true">✓</span> ' : ""}${escapeHtml(text)}</h1>`;
}

function paragraph(html: string): string {
  return `<p>${html}</p>`;
}

/** A name may run in the other direction than the sentence. */
function naming(sentence: string, list: string): string {
  return escapeHtml(sentence).replace("LIST", () => `<bdi>${escapeHtml(list)}</bdi>`);
}

function from({ sender }: PageAbout): string {
  const parsed = parseMailbox(sender);
  const name = parsed.kind === "mailbox" ? (parsed.name ?? parsed.address) : "";
  return name === "" ? "" : `<p class="from"><bdi>${escapeHtml(name)}</bdi></p>`;
}

/** Not the whole: whoever the mail was forwarded to may press the button, but need not learn the address by it. */
function address(texts: PageTexts, { recipient }: PageAbout): string {
  const at = recipient.lastIndexOf("@");
  const [first = ""] = recipient;
  return `<p class="quiet">${escapeHtml(texts.address)}: <bdi dir="ltr">${escapeHtml(`${first}…${recipient.slice(at)}`)}</bdi></p>`;
}

/** Without an action: it goes to the address of the page, whatever that is behind a proxy. */
function form(button: string, value: keyof typeof PAGE_VALUES, style: "first" | "second"): string {
  return (
    `<form method="post">\n<input type="hidden" name="List-Unsubscribe" value="One-Click">\n` +
    `<button class="${style}" name="${PAGE_FIELD}" value="${PAGE_VALUES[value]}">${escapeHtml(button)}</button>\n</form>`
  );
}

function escapeHtml(text: string): string {
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
