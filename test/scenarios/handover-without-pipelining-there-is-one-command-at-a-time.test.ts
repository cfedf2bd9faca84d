import assert from "node:assert/strict";
import { test } from "node:test";

import { letters, startOutlet } from "../rig/handover-rig.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

for (const [name, answerToEhlo] of [
  ["EHLO without PIPELINING", undefined],
  ["HELO only", "502 5.5.1 what?"],
] as const) {
  test(`${name}: one command at a time, RSET included`, async (t) => {
    const sink = await startScriptedSink(t, {
      extensions: ["8BITMIME"],
      answer({ verb, nth }) {
        if (verb === "EHLO") return answerToEhlo;
        return verb === "RCPT" && nth === 2 ? "550 5.1.1 nobody" : undefined;
      },
    });
    const { driver } = startOutlet(t, [sink.port], letters(4), { limit: 4, connectionsMax: 1 });
    const results = await driver.whenFinished(4);
    assert.equal(
      [...results.values()].filter((result) => result.kind === "replied" && result.phase === "dot").length,
      3,
    );
    assert.equal(sink.commands.filter((line) => line === "1> RSET").length, 1);
    assert.deepEqual(sink.breaches, []);
    for (const { bytes } of sink.reads)
      assert.ok(bytes.includes(".\r\n") || bytes.toString().split("\r\n").length === 2);
  });
}
