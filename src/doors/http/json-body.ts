// Reads a JSON body (RFC 8259) that may be meant to hurt: what it would become in memory is counted in the octets before
// anything is made of it, and what PostgreSQL cannot keep (NUL, half a surrogate pair) is refused here, since one such
// text would fail everybody's group.

import { BATCH_ITEMS_MAX, JSON_DEPTH_MAX } from "./http-limits.ts";
import { Problem } from "./problem.ts";

/** Undefined for an empty body: clients send `Content-Type` without one. */
export function readJson(bytes: Buffer, valuesMax: number): unknown {
  if (bytes.length === 0) return undefined;
  refuseBomb(bytes, valuesMax);
  const text = decodeUtf8(bytes);
  const value = parse(text);
  // Unescaped, JSON has no control character, and UTF-8 no surrogate.
  if (text.includes(String.raw`\u`)) refuseUnkeepable(value);
  return value;
}

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [LEFT_BRACKET, RIGHT_BRACKET, LEFT_BRACE, RIGHT_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d];

function refuseBomb(bytes: Buffer, valuesMax: number): void {
  let [depth, values, items] = [0, 0, 0];
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]!) {
      case QUOTE:
        at = endOfString(bytes, at);
        break;
      case LEFT_BRACKET:
      case LEFT_BRACE:
        depth++;
        values++;
        break;
      case RIGHT_BRACKET:
      case RIGHT_BRACE:
        depth--;
        break;
      case COMMA:
        values++;
        if (depth === 1) items++;
        break;
      case COLON:
        values++;
        break;
    }
    if (depth > JSON_DEPTH_MAX) throw tooComplex(`is nested more than ${JSON_DEPTH_MAX} deep`);
    if (items >= BATCH_ITEMS_MAX) throw tooManyItems(bytes);
    if (values > valuesMax) throw tooComplex(`has more than ${printed(valuesMax)} values`);
  }
}

/** The quote that ends it, or the end of the body. */
function endOfString(bytes: Buffer, start: number): number {
  for (let from = start + 1; ;) {
    const end = bytes.indexOf(QUOTE, from);
    if (end === -1) return bytes.length;
    let backslashes = 0;
    while (bytes[end - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
    from = end + 1;
  }
}

function tooManyItems(bytes: Buffer): Problem {
  const isList = bytes.subarray(0, FIRST_BYTES).toString("latin1").trimStart().startsWith("[");
  if (!isList) return tooComplex(`has more than ${printed(BATCH_ITEMS_MAX)} fields`);
  return new Problem("limit_exceeded", `the batch has more than ${printed(BATCH_ITEMS_MAX)} emails`, {
    hint: "Nothing was queued. Send them in several batches.",
  });
}

const FIRST_BYTES = 16;

function tooComplex(what: string): Problem {
  return new Problem("body_too_complex", `the body ${what}`, { hint: "Send less in one request." });
}

function printed(count: number): string {
  return count.toLocaleString("en");
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Problem("bad_json", "the body is no UTF-8", { hint: "Send the JSON in UTF-8." });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? harmless(error.message) : "it cannot be read";
    throw new Problem("bad_json", `the body is no JSON: ${reason}`, { hint: "Check it with a JSON parser." });
  }
}

/** The parser quotes what it found. */
function harmless(message: string): string {
  return message.replaceAll(/[\p{Cc}\p{Cs}]/gu, "?").slice(0, REASON_CHARS_MAX);
}

const REASON_CHARS_MAX = 200;

/** Depth and size are bounded by now. */
function refuseUnkeepable(value: unknown): void {
  if (typeof value === "string") return refuseText(value);
  if (typeof value !== "object" || value === null) return;
  for (const [key, member] of Object.entries(value)) {
    refuseText(key);
    refuseUnkeepable(member);
  }
}

function refuseText(text: string): void {
  if (!text.includes("\0") && !/\p{Cs}/u.test(text)) return;
  throw new Problem("bad_field", "a text holds NUL or half a surrogate pair", {
    hint: String.raw`Remove \u0000, and write characters beyond U+FFFF as whole pairs.`,
  });
}
