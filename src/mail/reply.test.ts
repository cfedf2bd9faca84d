import assert from "node:assert/strict";
import { test } from "node:test";
import { queueIdIn } from "./reply.ts";

test("the relay's own name of a message is found in its reply", () => {
  assert.equal(queueIdIn("250 2.0.0 Ok: queued as 4XyZ7q2bBKz3k"), "4XyZ7q2bBKz3k");
  assert.equal(queueIdIn("250 2.0.0 Ok: queued as 0F2C91A0B5"), "0F2C91A0B5");
  assert.equal(queueIdIn("250 OK id=1tFabc-0001Qx-2B"), "1tFabc-0001Qx-2B");
  for (const reply of ["250 2.0.0 Ok", "250 queued as", "250 Ok: queued as <b>", ""]) {
    assert.equal(queueIdIn(reply), undefined, reply);
  }
});
