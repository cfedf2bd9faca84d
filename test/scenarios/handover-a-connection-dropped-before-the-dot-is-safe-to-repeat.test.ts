import assert from "node:assert/strict";
import { test } from "node:test";

import { letter, startOutlet } from "../rig/handover-rig.ts";
import { DROP, startScriptedSink, type SinkVerb } from "../rig/scripted-sink.ts";

const phases: readonly (readonly [SinkVerb, string])[] = [
  ["BANNER", "banner"],
  ["EHLO", "ehlo"],
  ["MAIL", "mail"],
  ["RCPT", "rcpt"],
  ["DATA", "data"],
];

for (const [verb, phase] of phases) {
  for (const extensions of [["PIPELINING"], []]) {
    test(`dropped in phase ${phase}, with extensions [${extensions.join()}]`, async (t) => {
      const sink = await startScriptedSink(t, {
        extensions,
        answer: (command) => (command.verb === verb ? DROP : undefined),
      });
      const { driver } = startOutlet(t, [sink.port], [letter(1)], { limit: 1 });
      const result = (await driver.whenFinished(1)).get("token-1");
      assert.equal(result?.kind, "failed");
      assert.deepEqual(result?.kind === "failed" && [result.phase, result.isPastDot], [phase, false]);
      assert.equal(sink.messages.length, 0);
    });
  }
}
