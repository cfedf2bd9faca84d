// So many sessions at once, and so many of one client; what a client is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createSessionCount } from "./count-sessions.ts";

test("a client that has all its sessions keeps nobody else out, and gets in again when one ends", () => {
  const count = createSessionCount({ sessionsMax: 3, sessionsPerClientMax: 2 });
  const leave = count.enter("192.0.2.1");
  assert.ok(count.enter("192.0.2.1"));
  assert.equal(count.enter("192.0.2.1"), undefined);
  assert.equal(count.enter("::ffff:192.0.2.1"), undefined, "the same client on a listener for both families");
  assert.ok(count.enter("192.0.2.2"));
  assert.equal(count.enter("192.0.2.3"), undefined, "all together");
  leave?.();
  assert.ok(count.enter("192.0.2.1"));
});

test("an IPv6 client is its /64", () => {
  for (const [one, other, isSame] of [
    ["2001:db8::1", "2001:db8:0:0:ffff::2", true],
    ["2001:db8::1", "2001:db8:0:1::1", false],
    ["::1", "::2", true],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::", true],
  ] as const) {
    const count = createSessionCount({ sessionsMax: 9, sessionsPerClientMax: 1 });
    count.enter(one);
    assert.equal(count.enter(other) === undefined, isSame, `${one} ${other}`);
  }
});
