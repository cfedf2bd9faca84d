// The header field `Idempotency-Key`: a quoted string as the IETF's draft has it (draft-ietf-httpapi-idempotency-key-header
// §2.1, a string of RFC 9651), or bare as nearly everybody sends it. Quoted and bare are the same key.

import { Problem } from "./problem.ts";

/** As long as the rules of entry take one. */
const KEY_CHARS_MAX = 256;

/** `values`: each field of that name. Undefined: there is none. */
export function readIdempotencyKey(values: readonly string[] | undefined): string | undefined {
  const [given, ...others] = values ?? [];
  if (given === undefined) return undefined;
  if (others.length > 0) throw bad("there are several", "Send one.");
  const key = given.startsWith('"') ? unquoted(given) : given;
  if (key === undefined) throw bad("it begins as a quoted string and does not end as one", "Close the quotes.");
  if (key.length < 1 || key.length > KEY_CHARS_MAX) {
    throw bad(`it has ${key.length} characters`, `Send 1 to ${KEY_CHARS_MAX} characters.`);
  }
  if (!/^[ -~]+$/.test(key)) throw bad("it holds more than printable ASCII", "Send printable ASCII, such as a UUID.");
  return key;
}

/** RFC 9651 §4.2.5: within the quotes, a backslash stands before a quote or a backslash, and before nothing else. */
function unquoted(text: string): string | undefined {
  const [, inner] = /^"((?:[^"\\]|\\["\\])*)"$/.exec(text) ?? [];
  return inner?.replaceAll(/\\(["\\])/g, "$1");
}

function bad(what: string, hint: string): Problem {
  return new Problem("bad_idempotency_key", `the header field Idempotency-Key cannot be read: ${what}`, { hint });
}
