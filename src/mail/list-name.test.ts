import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isListName, listNameFrom } from "./list-name.ts";

test("of any text a name of a list can be made; a name stays what it is", () => {
  assert.equal(listNameFrom("Members 2027"), "Members-2027");
  assert.equal(listNameFrom("größte Häuser"), "gro-te-Hauser");
  assert.equal(listNameFrom("日本語"), "list");
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => isListName(listNameFrom(text))));
  fc.assert(fc.property(fc.stringMatching(/^[A-Za-z0-9._]{1,64}$/), (text) => listNameFrom(text) === text));
});

test("what cannot stand in a header is no name", () => {
  for (const text of ["", "a b", "a\r\n", "a@b", "<a>", "ä", "a".repeat(65)]) assert.ok(!isListName(text), text);
});
