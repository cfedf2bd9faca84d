// A token names its message, survives a change of case, and nobody without the key can make one: no return path is one.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import type { MessageId } from "./ids.ts";
import { readToken, tokenOf } from "./return-token.ts";
import {
  readUnsubscribeToken,
  tokenOfUnsubscribeAddress,
  unsubscribeAddressOf,
  unsubscribeTokenOf,
  unsubscribeUrlOf,
} from "./unsubscribe-token.ts";

const macOf = (key: string) => (data: Uint8Array) => createHmac("sha256", key).update(data).digest();
const mac = macOf("ours");
const ids = fc.maxSafeNat().map((id) => id as MessageId);

test("whatever message is named is read again, from an address and from a URL, in any case of letters", () => {
  fc.assert(
    fc.property(ids, fc.boolean(), (id, isUpper) => {
      const token = unsubscribeTokenOf(id, mac);
      const address = unsubscribeAddressOf(token, "returns.example");
      const seen = isUpper ? address.toUpperCase() : address;
      assert.equal(readUnsubscribeToken(tokenOfUnsubscribeAddress(seen, "Returns.example") ?? "", mac), id);
      assert.ok(address.indexOf("@") <= 64, "the local part is too long");
      assert.equal(unsubscribeUrlOf(token, "https://m.example/post"), `https://m.example/post/u/${token}`);
    }),
  );
});

test("a token of another key, of another kind, or one that was changed anywhere, is none of ours", () => {
  const id = 4711 as MessageId;
  const token = unsubscribeTokenOf(id, mac);
  assert.equal(readUnsubscribeToken(unsubscribeTokenOf(id, macOf("theirs")), mac), undefined);
  assert.equal(readUnsubscribeToken(tokenOf({ messageId: id, attempt: 1 }, mac), mac), undefined);
  assert.equal(readToken(token, mac), undefined);
  for (let at = 0; at < token.length; at++) {
    const other = token[at] === "a" ? "b" : "a";
    assert.equal(readUnsubscribeToken(token.slice(0, at) + other + token.slice(at + 1), mac), undefined, `at ${at}`);
  }
  fc.assert(fc.property(fc.string(), (text) => readUnsubscribeToken(text, mac) === undefined));
});

test("only addresses of the returns domain and with our prefix carry one", () => {
  for (const address of ["b+aaaa@returns.example", "u+aaaa@other.example", "u@returns.example", ""]) {
    assert.equal(tokenOfUnsubscribeAddress(address, "returns.example"), undefined, address);
  }
});
