// What a mail says to Postlane by headers of its own: each once, and well written.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readControls } from "./control-headers.ts";
import { readHeader } from "./read-header.ts";

function controlsOf(header: string) {
  const content = Buffer.from(`${header}\r\n\r\nHello\r\n`);
  const read = readHeader(content);
  assert.ok(read.kind !== "refused");
  return readControls(content, read.fields);
}

test("lane, list, end and key are read", () => {
  const header = "X-Postlane-Lane: bulk\r\nX-POSTLANE-LIST: weekly-news\r\nX-Postlane-Idempotency-Key: a b";
  assert.deepEqual(controlsOf(header), {
    kind: "controls",
    controls: { lane: "bulk", list: "weekly-news", idempotencyKey: "a b", isBySendmail: false },
  });
});

test("a list that cannot be one, and what stands twice, is refused by name", () => {
  const refused = (header: string) => {
    const read = controlsOf(header);
    return read.kind === "refused" ? `${read.header}: ${read.expected}` : "";
  };
  assert.equal(refused("X-Postlane-List: a b"), 'X-Postlane-List: 1 to 64 of A-Z, a-z, 0-9, ".", "_" and "-"');
  assert.equal(refused("X-Postlane-List: a\r\nX-Postlane-List: a"), refused("X-Postlane-List:"));
  assert.equal(refused("X-Postlane-Lane: ä"), "X-Postlane-Lane: 1 to 256 characters of ASCII");
});
