// The proxy itself: mail goes through whole, whatever pieces it comes in, and is cut where the test said.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { startCuttingProxy, type Cut } from "./cutting-proxy.ts";
import { beginMail, connectRaw, sendMail } from "./raw-smtp.ts";
import { startScriptedSink } from "./scripted-sink.ts";

async function startRig(t: TestContext, cut?: Cut) {
  const sink = await startScriptedSink(t);
  const to = { host: "127.0.0.1", port: sink.port };
  const proxy = await startCuttingProxy(t, {
    to,
    cutOf: (recipient) => (recipient === "cut@shop.example" ? cut : undefined),
  });
  const smtp = await connectRaw(proxy.host, proxy.port);
  t.after(() => smtp.cut());
  return { sink, smtp };
}

test("what is not named goes through whole, octet by octet", async (t) => {
  const { sink, smtp } = await startRig(t, "before the dot");
  const content = "Subject: x\r\n\r\n..\r\n.x\r\n\r\n";
  for (const count of [1, 2]) {
    await beginMail(smtp, "a@site.example", "ann@shop.example");
    for (const octet of `${content}.\r\n`) await smtp.write(octet);
    assert.match(await smtp.reply(), /^250/);
    assert.equal(sink.accepted.length, count);
    assert.equal(sink.messages.at(-1)!.raw.toString(), `${content}.\r\n`);
  }
  assert.deepEqual(sink.breaches, []);
});

const CUTS: readonly (readonly [cut: Cut, arrived: number | undefined])[] = [
  ["before the dot", 0],
  ["at the dot", undefined],
  ["after the reply", 1],
];

for (const [cut, arrived] of CUTS) {
  test(`cut ${cut}`, async (t) => {
    const { sink, smtp } = await startRig(t, cut);
    await assert.rejects(sendMail(smtp, "a@site.example", "cut@shop.example"), /the connection ended/);
    await sink.waitFor(() => sink.openConnectionCount === 0);
    if (arrived !== undefined) assert.equal(sink.messages.length, arrived);
  });
}
