import assert from "node:assert/strict";
import { test } from "node:test";

import { letter, startOutlet } from "../rig/handover-rig.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

const beyondAscii = [
  letter(1, { recipient: "zoë@bücher.example" }),
  letter(2, { sender: "zoë@example.org" }),
  letter(3, { recipient: "b@bücher.example" }),
  letter(4, { text: "Subject: x\r\n\r\nzoë\r\n" }),
  letter(5, { text: "Subject: zoë\r\n\r\nx\r\n" }),
  letter(6, { text: `Subject: x\r\n\r\n${"x".repeat(200)}\r\n` }),
];

test("where everything is offered, the parameters say what is needed", async (t) => {
  const sink = await startScriptedSink(t);
  const { driver } = startOutlet(t, [sink.port], beyondAscii, { limit: 1 });
  await driver.whenFinished(6);
  const seen = sink.accepted.map(({ recipients, mailParameters }) => `${recipients[0]} ${mailParameters}`);
  assert.deepEqual(seen, [
    "zoë@xn--bcher-kva.example SIZE=30 BODY=8BITMIME SMTPUTF8",
    "person-2@example.net SIZE=30 BODY=8BITMIME SMTPUTF8",
    "b@xn--bcher-kva.example SIZE=30",
    "person-4@example.net SIZE=20 BODY=8BITMIME",
    "person-5@example.net SIZE=20 BODY=8BITMIME SMTPUTF8",
    "person-6@example.net SIZE=216",
  ]);
  assert.equal(sink.accepted[3]?.content.toString(), "Subject: x\r\n\r\nzoë\r\n");
});

test("where nothing is offered, those messages are refused here and nothing of them is sent", async (t) => {
  const sink = await startScriptedSink(t, { extensions: ["SIZE 100"] });
  const { driver } = startOutlet(t, [sink.port], beyondAscii, { limit: 1 });
  const results = await driver.whenFinished(6);
  const codes = [...results.values()].map((result) =>
    result.kind === "refused_here" ? `${result.reply.code} ${result.reply.enhanced}` : result.kind,
  );
  assert.deepEqual(codes, ["553 5.6.7", "553 5.6.7", "replied", "554 5.6.3", "553 5.6.7", "552 5.3.4"]);
  assert.equal(sink.commands.filter((line) => line.includes("MAIL")).length, 1);
});
