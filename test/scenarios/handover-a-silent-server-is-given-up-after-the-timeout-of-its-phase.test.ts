import assert from "node:assert/strict";
import { test } from "node:test";

import { letter, startOutlet } from "../rig/handover-rig.ts";
import { SILENCE, startScriptedSink, type SinkVerb } from "../rig/scripted-sink.ts";

// Of RFC 5321 §4.5.3.2, in minutes.
const phases: readonly (readonly [SinkVerb, string, number, boolean])[] = [
  ["BANNER", "banner", 5, false],
  ["EHLO", "ehlo", 5, false],
  ["MAIL", "mail", 5, false],
  ["RCPT", "rcpt", 5, false],
  ["DATA", "data", 2, false],
  ["DOT", "dot", 10, true],
];

for (const [verb, phase, minutes, isPastDot] of phases) {
  test(`silent in phase ${phase}: given up after ${minutes} minutes`, async (t) => {
    const sink = await startScriptedSink(t, {
      extensions: [],
      answer: (command) => (command.verb === verb ? SILENCE : undefined),
    });
    const { driver, clock } = startOutlet(t, [sink.port], [letter(1)], { limit: 1 });
    await sink.waitFor(() => hasReached(verb, sink));
    await new Promise((resolve) => void setImmediate(resolve));
    clock.advance(minutes * 60_000 - 1);
    assert.equal(driver.results.size, 0);
    clock.advance(1);
    const result = (await driver.whenFinished(1)).get("token-1");
    // Past the dot, and only there, the relay's log may have to be asked for the session of this port.
    const clientPort = result?.kind === "failed" ? result.clientPort : undefined;
    assert.equal(clientPort !== undefined && clientPort > 0, isPastDot);
    assert.deepEqual(result, {
      ...(isPastDot ? { clientPort } : {}),
      kind: "failed",
      phase,
      code: "timeout",
      detail: `no answer in phase ${phase}`,
      host: `127.0.0.1:${sink.port}`,
      isPastDot,
    });
  });
}

function hasReached(verb: SinkVerb, sink: Awaited<ReturnType<typeof startScriptedSink>>): boolean {
  if (verb === "BANNER") return sink.connectionCount === 1;
  if (verb === "DOT") return sink.messages.length === 1;
  return sink.commands.some((line) => line.startsWith(`1> ${verb}`));
}
