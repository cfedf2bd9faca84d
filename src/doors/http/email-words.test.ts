// Every state has a word, and a place in the order from the furthest from its end.

import assert from "node:assert/strict";
import { test } from "node:test";
import { STATES } from "../../mail/state.ts";
import { HTTP_WORDS } from "./email-schema.ts";
import { FURTHEST_FIRST, httpWord, lastEvent } from "./email-words.ts";

test("every state has one word and one place", () => {
  assert.deepEqual(new Set(STATES.map(httpWord)), new Set(HTTP_WORDS));
  assert.deepEqual(FURTHEST_FIRST.toSorted(), STATES.toSorted());
});

test("the word of an email is that of its message that is furthest from its end", () => {
  assert.equal(lastEvent(["delivered", "sent", "deferred"]), "delivery_delayed");
  assert.equal(lastEvent(["delivered", "bounced", "delivered"]), "bounced");
  assert.equal(lastEvent(["delivered", null]), "delivered");
  assert.equal(lastEvent([null]), null);
  assert.equal(lastEvent([]), null);
});
