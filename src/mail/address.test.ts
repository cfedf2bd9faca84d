import assert from "node:assert/strict";
import { test } from "node:test";
import { addressProblem, domainOf, parseMailbox } from "./address.ts";

test("possible addresses have no problem", () => {
  for (const address of [
    "ann@example.com",
    "Ann.O'Neil+news@mail.example.co.uk",
    "-@a.b",
    "a@1.2.3.4",
    `${"l".repeat(64)}@example.com`,
    `a@${"d".repeat(63)}.com`,
    "用户@例え.jp",
    "josé@müller.example",
    "a@xn--mller-kva.example",
    "a@a--b.example",
  ]) {
    assert.equal(addressProblem(address), undefined, address);
  }
});

test("each rule gives its own reason, in order", () => {
  const bad: readonly (readonly [string, string])[] = [
    ["", "no address"],
    ["ann", "no @"],
    ["@example.com", "local part is empty"],
    ["@", "local part is empty"],
    [`${"l".repeat(65)}@example.com`, "local part is longer than 64 octets"],
    [`${"ü".repeat(33)}@example.com`, "local part is longer than 64 octets"],
    [`a@${"d.".repeat(127)}`, "domain is longer than 253 octets"],
    [`abcdef@${"d.".repeat(124)}com`, "address is longer than 254 octets"],
    ["a b@example.com", "a character that an address cannot have"],
    ['"a b"@example.com', "a character that an address cannot have"],
    ["a@b@example.com", "a character that an address cannot have"],
    ["a@[127.0.0.1]", "a character that an address cannot have"],
    ["<a@example.com>", "a character that an address cannot have"],
    ["a@example.com\r\nRCPT", "a character that an address cannot have"],
    ["a\u0000@example.com", "a character that an address cannot have"],
    ["a\u00a0@example.com", "a character that an address cannot have"],
    ["a\u2028@example.com", "a character that an address cannot have"],
    ["a\ud800@example.com", "a character that an address cannot have"],
    [".a@example.com", "dots in the local part"],
    ["a.@example.com", "dots in the local part"],
    ["a..b@example.com", "dots in the local part"],
    ["=?utf-8?Q?a=40b.example=2C?=@example.com", "what looks like an encoded-word"],
    ["a@localhost", "the domain has fewer than two labels"],
    ["a@", "the domain has fewer than two labels"],
    ["a@.example.com", "the domain has a bad label"],
    ["a@example.com.", "the domain has a bad label"],
    ["a@example..com", "the domain has a bad label"],
    ["a@-b.example.com", "the domain has a bad label"],
    ["a@b-.example.com", "the domain has a bad label"],
    ["a@under_score.com", "the domain has a bad label"],
    [`a@${"d".repeat(64)}.com`, "the domain has a bad label"],
  ];
  for (const [address, reason] of bad) assert.equal(addressProblem(address), reason, JSON.stringify(address));
});

test("a mailbox is an address with or without a name", () => {
  assert.deepEqual(parseMailbox("ann@example.com"), { kind: "mailbox", address: "ann@example.com" });
  assert.deepEqual(parseMailbox("  ann@example.com "), { kind: "mailbox", address: "ann@example.com" });
  assert.deepEqual(parseMailbox("<ann@example.com>"), { kind: "mailbox", address: "ann@example.com" });
  assert.deepEqual(parseMailbox("Ann <ann@example.com>"), {
    kind: "mailbox",
    name: "Ann",
    address: "ann@example.com",
  });
  assert.deepEqual(parseMailbox('"O\\"Neil, Ann" <ann@example.com> '), {
    kind: "mailbox",
    name: 'O"Neil, Ann',
    address: "ann@example.com",
  });
  assert.deepEqual(parseMailbox("安娜 🎉 <ann@example.com>"), {
    kind: "mailbox",
    name: "安娜 🎉",
    address: "ann@example.com",
  });
});

test("a mailbox that is none says why", () => {
  assert.deepEqual(parseMailbox("Ann <ann>"), { kind: "bad", reason: "no @" });
  assert.deepEqual(parseMailbox("Ann <>"), { kind: "bad", reason: "no address" });
  assert.deepEqual(parseMailbox("Ann\r\nBcc: x@y.example <ann@example.com>"), {
    kind: "bad",
    reason: "a control character",
  });
  assert.deepEqual(parseMailbox("ann@example.com, bob@example.com"), {
    kind: "bad",
    reason: "a character that an address cannot have",
  });
});

test("the domain is lower-cased, and what stands after the last @", () => {
  assert.equal(domainOf("Ann@EXAMPLE.Com"), "example.com");
  assert.equal(domainOf("a@MÜLLER.example"), "müller.example");
});
