import assert from "node:assert/strict";
import { test } from "node:test";

import { letters, startOutlet } from "../rig/handover-rig.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

test("the next envelope rides behind the final dot in one write", async (t) => {
  const sink = await startScriptedSink(t);
  const { driver } = startOutlet(t, [sink.port], letters(2), { limit: 2, connectionsMax: 1 });
  await driver.whenFinished(2);
  const writes = sink.reads.map(({ bytes }) => bytes.toString());
  assert.deepEqual(writes, [
    "EHLO client.example\r\n",
    "MAIL FROM:<bounce-1@example.org> SIZE=30\r\nRCPT TO:<person-1@example.net>\r\nDATA\r\n",
    "Subject: letter 1\r\n\r\nHello 1\r\n.\r\n" +
      "MAIL FROM:<bounce-2@example.org> SIZE=30\r\nRCPT TO:<person-2@example.net>\r\nDATA\r\n",
    "Subject: letter 2\r\n\r\nHello 2\r\n.\r\n",
  ]);
  assert.deepEqual(driver.permitCalls, [["token-1"], ["token-2"]]);
});
