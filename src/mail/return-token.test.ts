// A token names its attempt, survives a change of case, and nobody without the key can make one.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import type { MessageId } from "./ids.ts";
import { claimedName, readToken, returnPathOf, tokenOf, tokenOfReturnPath, type AttemptName } from "./return-token.ts";

const macOf = (key: string) => (data: Uint8Array) => createHmac("sha256", key).update(data).digest();
const mac = macOf("ours");
const names = fc.record({
  messageId: fc.maxSafeNat().map((id) => id as MessageId),
  attempt: fc.nat({ max: 32_767 }),
});

test("whatever attempt is named is read again, in any case of letters", () => {
  fc.assert(
    fc.property(names, fc.boolean(), (name, isUpper) => {
      const path = returnPathOf(name, "returns.example", mac);
      const seen = isUpper ? path.toUpperCase() : path;
      const token = tokenOfReturnPath(seen, "Returns.example");
      assert.deepEqual(readToken(token ?? "", mac), { ...name });
      assert.deepEqual(claimedName(token ?? ""), { ...name });
      assert.ok(path.indexOf("@") <= 64, "the local part is too long");
    }),
  );
});

test("a token of another key, or one that was changed anywhere, is none of ours", () => {
  const name: AttemptName = { messageId: 4711 as MessageId, attempt: 3 };
  const token = tokenOf(name, mac);
  assert.equal(readToken(tokenOf(name, macOf("theirs")), mac), undefined);
  for (let at = 0; at < token.length; at++) {
    const other = token[at] === "a" ? "b" : "a";
    assert.equal(readToken(token.slice(0, at) + other + token.slice(at + 1), mac), undefined, `at ${at}`);
  }
});

test("what is no token is read as none", () => {
  for (const text of ["", "b", "aaaa", "0".repeat(24), "a".repeat(23), "a".repeat(25), "ä".repeat(24)]) {
    assert.equal(readToken(text, mac), undefined, text);
  }
  fc.assert(fc.property(fc.string(), (text) => readToken(text, mac) === undefined));
});

test("only addresses of the returns domain carry one", () => {
  const token = tokenOf({ messageId: 1 as MessageId, attempt: 1 }, mac);
  assert.equal(tokenOfReturnPath(`b+${token}@returns.example`, "returns.example"), token);
  for (const address of [`${token}@returns.example`, `b+${token}@other.example`, "b+@x", ""]) {
    assert.equal(tokenOfReturnPath(address, "returns.example"), undefined, address);
  }
});
