import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock } from "../platform/clock.ts";
import { systemRandom } from "../platform/random.ts";
import { createCommandGauge, createPostfixGauge } from "./relay-gauge.ts";

const ports = { random: systemRandom, clock: systemClock };
/** `nobody`, on Linux and macOS alike a user without rights. */
const NOBODY = 65_534;

test("an empty spool is counted", async (t) => {
  const queueDir = makeSpool(t);
  const reading = await createPostfixGauge({ lifetimeMs: 300_000, configDir: "/no/such", queueDir }, ports)();
  assert.deepEqual(reading, { queue: 0, deferred: 0, shape: [], queue_source: "spool", queue_lifetime_s: 300 });
});

test("a spool that may not be read: postqueue is asked, and what is missing is said", async (t) => {
  if (process.geteuid?.() !== 0) return t.skip("needs root, to be somebody else for a moment");
  const queueDir = makeSpool(t);
  const measure = createPostfixGauge({ lifetimeMs: 300_000, configDir: "/no/such", queueDir }, ports);
  process.seteuid!(NOBODY);
  try {
    await assert.rejects(measure(), /may not be read: give the agent CAP_DAC_READ_SEARCH, and postqueue failed/);
  } finally {
    process.seteuid!(0);
  }
});

test("a spool that is not there is a problem", async () => {
  const measure = createPostfixGauge({ lifetimeMs: 300_000, configDir: "/no/such", queueDir: "/no/such/spool" }, ports);
  await assert.rejects(measure(), /\/no\/such\/spool.* is not there/);
});

test("a command that fails is a problem, one that prints a queue is a reading", async () => {
  await assert.rejects(createCommandGauge(["/no/such/command"])(), /not found/);
  const reading = await createCommandGauge(["echo", '{"queue": 3}'])();
  assert.deepEqual([reading.queue, reading.queue_source], [3, "command"]);
});

function makeSpool(t: TestContext): string {
  const spool = mkdtempSync(path.join(tmpdir(), "postlane-spool-"));
  t.after(() => rmSync(spool, { recursive: true }));
  for (const queue of ["incoming", "active", "deferred", "hold", "maildrop"]) {
    mkdirSync(path.join(spool, queue), { mode: 0o700 });
  }
  return spool;
}
