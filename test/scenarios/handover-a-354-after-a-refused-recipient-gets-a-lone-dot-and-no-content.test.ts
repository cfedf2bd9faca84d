import assert from "node:assert/strict";
import { test } from "node:test";

import { letters, startOutlet } from "../rig/handover-rig.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

test("a 354 after a refused recipient gets a lone dot and no content", async (t) => {
  const sink = await startScriptedSink(t, {
    answer({ verb, nth }) {
      if (verb === "RCPT" && nth === 2) return "550 5.1.1 nobody of that name";
      return verb === "DATA" && nth === 2 ? "354 go ahead anyway" : undefined;
    },
  });
  const { driver } = startOutlet(t, [sink.port], letters(3), { limit: 2, connectionsMax: 1 });
  const results = await driver.whenFinished(3);
  const codes = [...results.values()].map((result) => result.kind === "replied" && result.reply.code);
  assert.deepEqual(codes, [250, 550, 250]);
  const after = sink.commands.slice(sink.commands.indexOf("1> ."));
  assert.deepEqual(after.slice(0, 2), ["1> .", "1> RSET"]);
  assert.deepEqual(
    sink.accepted.map(({ sender }) => sender),
    ["bounce-1@example.org", "bounce-3@example.org"],
  );
  assert.deepEqual(sink.breaches, []);
});
