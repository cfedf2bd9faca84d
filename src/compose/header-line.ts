// One header field as lines on the wire (RFC 5322 §2.2): folded at 78 where it has spaces, never a line over 998, never
// a line of white space only. A name or value with CR, LF, NUL or another control character is refused, never cleaned.
// Plain text stands as it is; everything else, and everything that a reader could mistake, becomes encoded-words.

import { ComposeRefused } from "./compose-refused.ts";
import { encodeWords } from "./encoded-words.ts";

/** A field of free text, such as Subject. Words too long for a line of 78 are encoded. */
export function textHeader(name: string, text: string): string {
  return headerOf(name, text, PLAIN_WORD_MAX);
}

/** A field whose grammar we do not know: tokens stay whole as long as a line can hold them. */
export function customHeader(name: string, value: string): string {
  const problem = headerNameProblem(name);
  if (problem !== undefined) throw new ComposeRefused(RESERVED.test(name) ? name : printable(name), problem);
  return headerOf(name, value, LINE_OCTETS_MAX - name.length - 2);
}

/** Why a text cannot be the name of a header of the caller's own, or undefined when it can. */
export function headerNameProblem(name: string): string | undefined {
  if (!/^[!-9;-~]{1,76}$/.test(name)) return "not a header name";
  return RESERVED.test(name) ? "this header is written by Postlane" : undefined;
}

/** TAB may stand in a header; what else is below a space, or DEL, may not (RFC 5322 §2.2, §3.2.5). */
export function refuseControls(field: string, text: string): void {
  const found = CONTROL.exec(text);
  if (!found) return;
  const code = found[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
  throw new ComposeRefused(field, `holds the control character U+${code}, which no header can`);
}

/** A reader could take it for an encoded-word, so it must become one. */
export function looksEncoded(text: string): boolean {
  return text.includes("=?");
}

const LINE_OCTETS_MAX = 998;
/** RFC 5322 §2.1.1: lines should have no more. */
const LINE_OCTETS_WANTED = 78;
/** Leaves room for a name such as `Subject: ` in front. */
const PLAIN_WORD_MAX = 60;
/** Words of printable ASCII with one space between; other white space would not survive every reader. */
const PLAIN = /^[!-~]+(?: [!-~]+)*$/;
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f]/;
/** Kept in step with `postlane.check_headers`. */
const RESERVED =
  /^(?:from|to|cc|bcc|reply-to|sender|subject|date|message-id|mime-version|return-path|received|dkim-signature|authentication-results|(?:arc|content|resent)-.*)$/i;

function headerOf(name: string, text: string, wordMax: number): string {
  refuseControls(name, text);
  if (text === "") return `${name}:\r\n`;
  if (!PLAIN.test(text) || looksEncoded(text)) return encodedHeader(name, text);
  if (name.length + 2 + text.length <= LINE_OCTETS_WANTED && text.length <= wordMax) return `${name}: ${text}\r\n`;
  const words = text.split(" ");
  return words.some((word) => word.length > wordMax) ? encodedHeader(name, text) : foldedHeader(name, words);
}

function encodedHeader(name: string, text: string): string {
  const words = encodeWords(text, name.length + 2);
  return words.startsWith("\r\n") ? `${name}:${words}\r\n` : `${name}: ${words}\r\n`;
}

function foldedHeader(name: string, words: readonly string[]): string {
  let out = `${name}:`;
  let column = out.length;
  words.forEach((word, index) => {
    const isFolded = index > 0 && column + 1 + word.length > LINE_OCTETS_WANTED;
    out += isFolded ? `\r\n ${word}` : ` ${word}`;
    column = (isFolded ? 0 : column) + 1 + word.length;
  });
  return `${out}\r\n`;
}

function printable(name: string): string {
  return JSON.stringify(name.slice(0, 76));
}
