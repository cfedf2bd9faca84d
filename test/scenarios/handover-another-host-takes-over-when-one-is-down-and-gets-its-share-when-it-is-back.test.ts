import assert from "node:assert/strict";
import { test } from "node:test";

import { letters, startOutlet } from "../rig/handover-rig.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

test("another host takes over when one is down, and the one that is back gets its share", async (t) => {
  const one = await startScriptedSink(t);
  const other = await startScriptedSink(t);
  await one.stop();
  const { driver, outlet, clock } = startOutlet(t, [one.port, other.port], letters(200), {
    limit: 4,
    connectionsMax: 4,
    messagesPerConnectionMax: 10,
  });
  const results = await driver.whenFinished(200);
  assert.ok([...results.values()].every((result) => result.kind === "replied" && result.reply.code === 250));
  assert.equal(other.accepted.length, 200);
  const aside = outlet.stats().hosts.find(({ host }) => host.endsWith(`:${one.port}`));
  assert.deepEqual([aside?.failureCount, aside?.setAsideMs], [1, 1000]);

  await one.start();
  clock.advance(1000);
  driver.add(...letters(300).slice(200));
  outlet.wake();
  await driver.whenFinished(300);
  assert.ok(one.accepted.length > 20, `${one.accepted.length} of 100`);
  assert.equal(outlet.stats().hosts.find(({ host }) => host.endsWith(`:${one.port}`))?.failureCount, 0);
});
