import assert from "node:assert/strict";
import { test } from "node:test";
import { Problem } from "./problem.ts";
import { readEmail } from "./read-email.ts";

test("null is left out, and headers of ours become fields whatever their case", () => {
  const email = readEmail({
    to: "ann@example.net",
    cc: null,
    text: "Hi",
    attachments: [],
    template: null,
    headers: { "X-Order": "1", "x-postlane-LANE": "bulk", "X-Postlane-Idempotency-Key": "k" },
  });
  assert.deepEqual(email, {
    to: "ann@example.net",
    text: "Hi",
    lane: "bulk",
    idempotency_key: "k",
    headers: { "X-Order": "1" },
  });
  const attachment = { filename: "a.txt", content: "YQ==", content_type: null, path: null };
  assert.deepEqual(readEmail({ to: "a@example.net", attachments: [attachment] }).attachments, [
    { filename: "a.txt", content: "YQ==" },
  ]);
  const only = readEmail({ to: "a@example.net", headers: { "X-Postlane-Expires-At": "2099-01-01T00:00:00Z" } });
  assert.deepEqual(only, { to: "a@example.net", expires_at: "2099-01-01T00:00:00Z" });
});

test("the same said twice is fine, not the same is refused", () => {
  const headers = { "X-Postlane-Lane": "bulk" };
  assert.equal(readEmail({ to: "a@example.net", lane: "bulk", headers }).lane, "bulk");
  for (const given of [
    { lane: "transactional", headers },
    { headers: { ...headers, "x-postlane-lane": "other" } },
    { headers: { "X-Postlane-Priority": "high" } },
    { attachments: [{ filename: "a", content: "", path: "https://example.com/a" }] },
    { topic_id: "a" },
  ]) {
    assert.throws(() => readEmail({ to: "a@example.net", ...given }), Problem, JSON.stringify(given));
  }
});
