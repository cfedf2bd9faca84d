import assert from "node:assert/strict";
import { test } from "node:test";
import { headerText } from "./header-words.ts";

const CASES: readonly (readonly [given: string, wanted: string])[] = [
  ["Order 4711", "Order 4711"],
  ["=?utf-8?Q?Gr=C3=BC=C3=9Fe_an_alle?=", "Grüße an alle"],
  ["=?UTF-8?B?R3LDvMOfZQ==?= (=?iso-8859-1?q?M=FCnchen?=)", "Grüße (München)"],
  ["=?utf-8?Q?a?= =?utf-8?Q?b?=", "ab"],
  ["=?utf-8*en?Q?a?=", "a"],
  ["=?no-such-charset?Q?a?=", "=?no-such-charset?Q?a?="],
  ["=?utf-8?Q?=00=1B[31m?=", "[31m"],
  [Buffer.from("Grüße", "utf8").toString("latin1"), "Grüße"],
  ["=?utf-8?Q?open", "=?utf-8?Q?open"],
];

test("encoded-words are decoded, and what is none stays", () => {
  for (const [given, wanted] of CASES) assert.equal(headerText(given), wanted, given);
});

test("a hostile field is bounded", () => {
  for (const piece of ["=?", "?= =?", "=?utf-8?Q?", " \t", "=?utf-8?B?AAAA?="]) {
    const text = headerText(piece.repeat(200_000));
    assert.ok(text.length <= 4096, piece);
  }
});
