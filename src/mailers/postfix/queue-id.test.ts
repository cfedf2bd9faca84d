import assert from "node:assert/strict";
import { test } from "node:test";
import { arrivalOfQueueId, hashOfQueueId, isQueueId } from "./queue-id.ts";

// Seen on a real instance: the file lay in deferred/3, and its T record said 1795712421.229324.
const LONG = "4jb2q91d4VzJrh9";

test("a long queue id tells when it came and where its file lies", () => {
  assert.equal(isQueueId(LONG), true);
  assert.equal(arrivalOfQueueId(LONG), 1_795_712_421_230.074);
  assert.equal(hashOfQueueId(LONG)[0], "3");
  assert.equal(hashOfQueueId("4jb2q91h04zJrj5"), "3A184");
});

test("a short queue id tells neither time nor more than its letters", () => {
  assert.equal(isQueueId("8A207222920"), true);
  assert.equal(arrivalOfQueueId("8A207222920"), undefined);
  assert.equal(hashOfQueueId("8A207222920")[0], "8");
});

test("words of a log line are no queue ids", () => {
  for (const word of ["NOQUEUE", "warning", "statistics", "", "8a207222920", "../../etc", "4jb2q91d4V", "12345"]) {
    assert.equal(isQueueId(word), false, word);
  }
});
