import assert from "node:assert/strict";
import { test } from "node:test";

import { letters, startOutlet } from "../rig/handover-rig.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

test("replies may come octet by octet", async (t) => {
  const sink = await startScriptedSink(t, {
    isByteByByte: true,
    answer: ({ verb, nth }) => (verb === "RCPT" && nth === 2 ? "550-5.1.1 no\r\n550 5.1.1 such user" : undefined),
  });
  const { driver } = startOutlet(t, [sink.port], letters(6), { limit: 4, connectionsMax: 2 });
  const results = await driver.whenFinished(6);
  const refused = [...results.values()].filter((result) => result.kind === "replied" && result.reply.code === 550);
  assert.deepEqual(
    refused.map((result) => result.kind === "replied" && result.reply),
    [{ code: 550, enhanced: "5.1.1", text: "no such user" }],
  );
  assert.equal(sink.accepted.length, 5);
  assert.deepEqual(sink.breaches, []);
});
