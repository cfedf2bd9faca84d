import assert from "node:assert/strict";
import { test } from "node:test";

import { letters, startOutlet } from "../rig/handover-rig.ts";
import { replyAndDrop, startScriptedSink, type SinkVerb } from "../rig/scripted-sink.ts";

const phases: readonly (readonly [SinkVerb, string])[] = [
  ["BANNER", "banner"],
  ["EHLO", "ehlo"],
  ["MAIL", "mail"],
  ["RCPT", "rcpt"],
  ["DATA", "data"],
  ["DOT", "dot"],
];

for (const [verb, phase] of phases) {
  test(`a 421 in phase ${phase} ends the connection, and is the answer of one message only`, async (t) => {
    const sink = await startScriptedSink(t, {
      answer: (command) => (command.verb === verb ? replyAndDrop("421 4.3.2 shutting down") : undefined),
    });
    const { driver, outlet } = startOutlet(t, [sink.port], letters(3), { limit: 2, connectionsMax: 1 });
    const results = await driver.whenFinished(1);
    outlet.setLimit(0);
    await sink.waitFor(() => sink.openConnectionCount === 0);
    const [first] = results.values();
    assert.equal(first?.kind === "replied" && `${first.phase} ${first.reply.code}`, `${phase} 421`);
    const others = [...results.values()].slice(1).map(({ kind }) => kind);
    assert.deepEqual(others, phase === "dot" ? ["not_started"] : []);
  });
}
