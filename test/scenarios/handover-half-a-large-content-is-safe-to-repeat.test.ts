import assert from "node:assert/strict";
import { test } from "node:test";
import { letter, startOutlet } from "../rig/handover-rig.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

const line = `${"x".repeat(900)}\r\n`;

test("a large content arrives whole, leading dots and all", async (t) => {
  const sink = await startScriptedSink(t, { extensions: ["PIPELINING"] });
  const text = `.${line.repeat(2000)}.\r\n..\r\n`;
  const { driver } = startOutlet(t, [sink.port], [letter(1, { text }), letter(2)], { limit: 2, connectionsMax: 1 });
  await driver.whenFinished(2);
  assert.equal(sink.accepted[0]?.content.toString(), text);
  assert.equal(sink.accepted.length, 2);
});

// More than the buffers of both sides' sockets can hold.
const huge = letter(1, { text: line.repeat(20_000) });

test("a server that stops reading is given up after the time of one block, and the message is safe", async (t) => {
  const sink = await startScriptedSink(t, { extensions: ["PIPELINING"], isDeafAfter354: true });
  const { driver, clock } = startOutlet(t, [sink.port], [huge], { limit: 1 });
  while (driver.permitCalls.length === 0) await new Promise((resolve) => void setImmediate(resolve));
  clock.advance(179_999);
  assert.equal(driver.results.size, 0);
  clock.advance(1);
  const result = (await driver.whenFinished(1)).get("token-1");
  assert.deepEqual(result?.kind === "failed" && [result.phase, result.code, result.isPastDot], [
    "dot",
    "timeout",
    false,
  ]);
});

test("a connection lost amid a large content is safe to repeat", async (t) => {
  const sink = await startScriptedSink(t, { extensions: ["PIPELINING"], isDeafAfter354: true });
  const { driver } = startOutlet(t, [sink.port], [huge], { limit: 1 });
  while (driver.permitCalls.length === 0) await new Promise((resolve) => void setImmediate(resolve));
  await sink.stop();
  const result = (await driver.whenFinished(1)).get("token-1");
  assert.deepEqual(result?.kind === "failed" && [result.phase, result.isPastDot], ["dot", false]);
});
