import assert from "node:assert/strict";
import { existsSync, openSync, closeSync } from "node:fs";
import { it } from "node:test";
import { createLog } from "./log.ts";

it("a log whose disk is full throws nothing, and keeps no more than a bounded part of it", (t) => {
  if (!existsSync("/dev/full")) return t.skip("no /dev/full on this system");
  const full = openSync("/dev/full", "w");
  const log = createLog("info", { process: "test" }, full);
  const before = process.memoryUsage().heapUsed;
  for (let line = 0; line < 20_000; line++) log.info("line.written", { text: "x".repeat(4000) });
  assert.ok(process.memoryUsage().heapUsed - before < 40_000_000, "eighty megabytes are not kept");
  closeSync(full);
});
