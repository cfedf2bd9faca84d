import assert from "node:assert/strict";
import { test } from "node:test";
import { FALSE_ENDS } from "../../test/rig/false-ends.ts";
import { isAscii, isWireSafe, stuffDots } from "./dot-stuffing.ts";

test("every dot that begins a line is doubled", () => {
  assert.equal(stuffDots("a\r\nb\r\n"), "a\r\nb\r\n");
  assert.equal(stuffDots(".a\r\n.\r\n..\r\nx.y\r\n"), "..a\r\n..\r\n...\r\nx.y\r\n");
  assert.equal(stuffDots(".\r\n.\r\n.\r\n"), "..\r\n..\r\n..\r\n");
});

test("content is safe for the wire only with CRLF and nothing else", () => {
  for (const safe of ["\r\n", "a\r\n", "a\r\n\r\nb.\r\n.\r\n"]) assert.ok(isWireSafe(safe), JSON.stringify(safe));
  for (const end of FALSE_ENDS) assert.ok(!isWireSafe(`a${end}b\r\n`), JSON.stringify(end));
  for (const unsafe of ["", "a", "a\r", "a\n", "\n", "a\r\n\n", "\na\r\n", "\0\r\n"])
    assert.ok(!isWireSafe(unsafe), JSON.stringify(unsafe));
});

test("ASCII is what is one octet as UTF-8", () => {
  assert.ok(isAscii("plain \x7f"));
  for (const text of ["ü", "\u010a", "😀", "\ud800"]) assert.ok(!isAscii(text));
});
