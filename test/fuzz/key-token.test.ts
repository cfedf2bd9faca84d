// A key as text: what we print can be read again, and nothing else is one.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { makeSecret, parseKeyToken, printKeyToken } from "../../src/senders/key-token.ts";
import { networkOf } from "../../src/senders/refused-attempts.ts";

test("every key that is printed is read, and with any one character changed it is another or none", () => {
  const changes = fc.tuple(
    fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    fc.nat(200),
    fc.string({ maxLength: 2, unit: "binary" }),
  );
  fc.assert(
    fc.property(changes, ([id, at, other]) => {
      const secret = makeSecret();
      const token = printKeyToken({ id, secret });
      assert.deepEqual(parseKeyToken(token), { id, secret });
      const changed = token.slice(0, at) + other + token.slice(at + 1);
      if (changed !== token) assert.notDeepEqual(parseKeyToken(changed), { id, secret });
    }),
  );
});

test("whatever is read is printed as it was", () => {
  const shaped = fc.stringMatching(/^plk_[0-9]{0,12}_[A-Za-z0-9_-]{40,45}\n?$/);
  fc.assert(
    fc.property(fc.oneof(shaped, fc.string({ unit: "binary" })), (text) => {
      const token = parseKeyToken(text);
      if (token !== undefined) assert.equal(printKeyToken(token), text);
    }),
  );
});

test("an address of any kind has one network, and that one is its own", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), (address) => {
      const network = networkOf(address);
      assert.ok(network.length <= Math.max(address.length, 19));
      assert.equal(networkOf(network.includes(":") ? `${network}::` : network), network);
    }),
  );
});
