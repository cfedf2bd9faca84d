// A confirmation's token survives the way there and back in any case, and nothing else passes for one.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createMac } from "../platform/mac.ts";
import { CONFIRM_PATH, confirmUrlOf, readConfirmToken } from "./confirm-token.ts";
import type { MessageId, SubscriptionId } from "./ids.ts";
import { unsubscribeTokenOf } from "./unsubscribe-token.ts";

const OURS = createMac(Buffer.from("ours"));
const THEIRS = createMac(Buffer.from("theirs"));
const SITE = "https://mail.example.com/post";

function tokenOf(id: number): string {
  const url = confirmUrlOf(id as SubscriptionId, SITE, OURS);
  assert.ok(url.startsWith(SITE + CONFIRM_PATH));
  return url.slice((SITE + CONFIRM_PATH).length);
}

test("a token names its subscription, in upper and in lower case", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (id) => {
      assert.equal(readConfirmToken(tokenOf(id), OURS), id);
      assert.equal(readConfirmToken(tokenOf(id).toUpperCase(), OURS), id);
    }),
  );
});

test("a token that was changed, of another key or another kind is none", () => {
  const token = tokenOf(42);
  for (let at = 0; at < token.length; at++) {
    const changed = token.slice(0, at) + (token[at] === "a" ? "b" : "a") + token.slice(at + 1);
    assert.equal(readConfirmToken(changed, OURS), undefined);
  }
  assert.equal(readConfirmToken(token, THEIRS), undefined);
  // Of the same id, under the key of those who unsubscribe.
  assert.equal(readConfirmToken(unsubscribeTokenOf(42 as MessageId, THEIRS), OURS), undefined);
  for (const none of ["", "a", `${token}a`, "%00", "é".repeat(24)])
    assert.equal(readConfirmToken(none, OURS), undefined);
});
