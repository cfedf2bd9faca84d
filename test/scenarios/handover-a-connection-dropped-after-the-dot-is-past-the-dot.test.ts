import assert from "node:assert/strict";
import { test } from "node:test";

import { letters, startOutlet } from "../rig/handover-rig.ts";
import { DROP, startScriptedSink } from "../rig/scripted-sink.ts";

test("a connection dropped after the dot is past the dot, and what rode behind was never started", async (t) => {
  const sink = await startScriptedSink(t, { answer: ({ verb }) => (verb === "DOT" ? DROP : undefined) });
  const { driver, outlet } = startOutlet(t, [sink.port], letters(2), { limit: 2, connectionsMax: 1 });
  await sink.waitFor(() => sink.messages.length === 1);
  outlet.setLimit(0);
  const results = await driver.whenFinished(2);
  const past = results.get("token-1");
  assert.deepEqual(past?.kind === "failed" && [past.phase, past.isPastDot], ["dot", true]);
  assert.equal(results.get("token-2")?.kind, "not_started");
  assert.equal(sink.messages.length, 1);
});
