// The addresses of From as programs write them; and what could be read in two ways is not understood.

import assert from "node:assert/strict";
import { test } from "node:test";
import { headerAddresses } from "./header-addresses.ts";

test("what programs write is understood", () => {
  for (const [value, addresses] of [
    ["ann@example.com", ["ann@example.com"]],
    ["<ann@example.com>", ["ann@example.com"]],
    ['"Ann, <x@evil.example>" <ann@example.com>', ["ann@example.com"]],
    ["Ann B. Smith (at (the) shop) <ann@example.com>", ["ann@example.com"]],
    ["=?utf-8?Q?J=C3=B6rg?= <j@example.com>, bob@example.net", ["j@example.com", "bob@example.net"]],
    ["J\u00f6rg <j@example.com>", ["j@example.com"]],
    ["shop@example.com <shop@example.com>", ["shop@example.com", "shop@example.com"]],
    ["ann@b\u00fccher.example", ["ann@b\u00fccher.example"]],
  ] as const) {
    assert.deepEqual(headerAddresses(value), addresses, value);
  }
});

test("what could be read in two ways is not", () => {
  for (const value of [
    "",
    "Ann",
    "ann@example.com bob@example.net",
    "<ann@example.com> <bob@example.net>",
    "Ann <ann@example.com> Bob",
    "Ann <ann@example.com>, ",
    "friends: ann@example.com, bob@example.net;",
    "<@evil.example:ann@example.com>",
    "<ann@example.com",
    "ann@example.com>",
    '"ann@example.com',
    "(ann@example.com",
    "<<ann@example.com>>",
    '"a b"@example.com',
    "<ann@example.com\\>",
    "<ann@ex(comment)ample.com>",
    "ann@example.com\0",
  ]) {
    assert.equal(headerAddresses(value), undefined, JSON.stringify(value));
  }
});
