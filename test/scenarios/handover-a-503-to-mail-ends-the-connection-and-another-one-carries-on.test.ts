import assert from "node:assert/strict";
import { test } from "node:test";

import { letters, startOutlet } from "../rig/handover-rig.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

test("a 503 to MAIL ends the connection and another one carries on", async (t) => {
  const sink = await startScriptedSink(t, {
    answer: ({ verb, nth }) => (verb === "MAIL" && nth === 3 ? "503 5.5.1 nested MAIL command" : undefined),
  });
  const { driver } = startOutlet(t, [sink.port], letters(5), { limit: 2, connectionsMax: 1 });
  const results = await driver.whenFinished(5);
  assert.deepEqual(results.get("token-3"), {
    kind: "failed",
    phase: "mail",
    code: "bad_sequence",
    detail: "503 5.5.1 nested MAIL command",
    host: `127.0.0.1:${sink.port}`,
    isPastDot: false,
  });
  assert.deepEqual(
    sink.accepted.map(({ sender, connection }) => `${connection} ${sender}`),
    ["1 bounce-1@example.org", "1 bounce-2@example.org", "2 bounce-4@example.org", "2 bounce-5@example.org"],
  );
  assert.equal(sink.commands.filter((line) => line === "1> QUIT").length, 0);
});
