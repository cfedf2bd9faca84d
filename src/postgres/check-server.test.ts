import assert from "node:assert/strict";
import test from "node:test";
import { judgeServer } from "./check-server.ts";

const GOOD = {
  versionNumber: 180_004,
  version: "18.4",
  isFsyncOn: true,
  isFullPageWritesOn: true,
  isInRecovery: false,
  synchronousCommit: "on",
} as const;

test("a server that keeps its word is not refused", () => {
  assert.equal(judgeServer(GOOD), undefined);
  assert.equal(judgeServer({ ...GOOD, versionNumber: 150_000, version: "15.0" }), undefined);
});

test("an older server is refused first of all", () => {
  const refusal = judgeServer({ ...GOOD, versionNumber: 140_022, version: "14.22", isFsyncOn: false });
  assert.equal(refusal?.code, "server_too_old");
  assert.match(refusal?.message ?? "", /14\.22.*15 or later/);
});
