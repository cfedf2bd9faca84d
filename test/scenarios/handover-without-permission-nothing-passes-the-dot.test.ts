import assert from "node:assert/strict";
import { test } from "node:test";

import { letters, startOutlet } from "../rig/handover-rig.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

test("without permission nothing passes the dot", async (t) => {
  const sink = await startScriptedSink(t);
  const { driver, outlet } = startOutlet(t, [sink.port], [], { limit: 3, connectionsMax: 3 });
  driver.isPermitted = false;
  driver.add(...letters(3));
  outlet.wake();
  await driver.whenFinished(1);
  outlet.setLimit(0);
  await outlet.drain();
  assert.ok([...driver.results.values()].every(({ kind }) => kind === "not_started"));
  await sink.waitFor(() => sink.openConnectionCount === 0);
  assert.equal(sink.messages.length, 0);
  const written = Buffer.concat(sink.reads.map(({ bytes }) => bytes)).toString();
  assert.ok(!written.includes("Hello") && !written.includes("\r\n.\r\n"));
});
