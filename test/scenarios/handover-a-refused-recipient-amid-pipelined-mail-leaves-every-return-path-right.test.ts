import assert from "node:assert/strict";
import { test } from "node:test";

import { letters, startOutlet } from "../rig/handover-rig.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

test("a refused recipient amid pipelined mail leaves every return path right", async (t) => {
  const isRefused = (number: number): boolean => number % 3 === 0;
  const numberOf = (address: string): number => Number(/-(\d+)@/.exec(address)?.[1]);
  const sink = await startScriptedSink(t, {
    answer: ({ verb, recipient }) =>
      verb === "RCPT" && isRefused(numberOf(recipient)) ? "550 5.1.1 nobody of that name" : undefined,
  });
  const { driver } = startOutlet(t, [sink.port], letters(100), { limit: 4, connectionsMax: 2 });
  const results = await driver.whenFinished(100);
  for (const [token, result] of results) {
    const expected = isRefused(Number(token.slice("token-".length))) ? "rcpt 550" : "dot 250";
    assert.equal(result.kind === "replied" && `${result.phase} ${result.reply.code}`, expected, token);
  }
  assert.equal(sink.accepted.length, 67);
  for (const { sender, recipients, content } of sink.accepted) {
    const number = numberOf(sender);
    assert.deepEqual(recipients, [`person-${number}@example.net`]);
    assert.match(content.toString(), new RegExp(`^Subject: letter ${number}\r\n`));
  }
  assert.deepEqual(sink.breaches, []);
  assert.equal(sink.connectionCount, 2);
});
