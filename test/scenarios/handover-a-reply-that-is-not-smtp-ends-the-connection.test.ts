import assert from "node:assert/strict";
import { test } from "node:test";

import { letters, startOutlet } from "../rig/handover-rig.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

const junk: Readonly<Record<string, string>> = {
  "another protocol": "HTTP/1.1 400 Bad Request",
  "a bare LF": "250 2.1.0 ok\n",
  "a code that changes": "250-one\r\n251 two",
  "an endless line": `250 ${"x".repeat(1_100_000)}`,
  "too many lines": `${"250-x\r\n".repeat(150)}250 x`,
  "a reply too many": "250 ok\r\n250 ok\r\n250 ok\r\n354 ok",
  "an answer that MAIL cannot have": "354 go ahead",
};

for (const [what, reply] of Object.entries(junk)) {
  test(`${what} ends the connection`, async (t) => {
    const sink = await startScriptedSink(t, {
      answer: ({ verb, nth }) => (verb === "MAIL" && nth === 1 ? reply : undefined),
    });
    const { driver } = startOutlet(t, [sink.port], letters(1), { limit: 1 });
    const result = (await driver.whenFinished(1)).get("token-1");
    assert.equal(result?.kind === "failed" && result.code, "bad_reply");
    assert.equal(result?.kind === "failed" && result.isPastDot, false);
    await sink.waitFor(() => sink.openConnectionCount === 0);
    assert.equal(sink.messages.length, 0);
  });
}
