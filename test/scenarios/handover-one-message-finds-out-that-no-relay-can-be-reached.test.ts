import assert from "node:assert/strict";
import { test } from "node:test";

import { letters, startOutlet } from "../rig/handover-rig.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

test("one message finds out that no relay can be reached, and a probe that one is back", async (t) => {
  const sink = await startScriptedSink(t);
  await sink.stop();
  const { driver, outlet, clock } = startOutlet(t, [sink.port], letters(40), { limit: 40 });
  const result = (await driver.whenFinished(1)).get("token-1");
  assert.deepEqual(result?.kind === "failed" && [result.phase, result.code, result.isPastDot], [
    "connect",
    "ECONNREFUSED",
    false,
  ]);
  outlet.setLimit(0);
  clock.advance(30_000);
  await new Promise((resolve) => void setImmediate(resolve));
  assert.deepEqual([driver.takenCount, driver.results.size], [1, 1]);

  outlet.setLimit(1);
  await driver.whenFinished(2);
  outlet.setLimit(0);
  assert.equal(driver.results.get("token-2")?.kind, "failed");
  assert.equal(driver.takenCount, 2);

  await sink.start();
  clock.advance(1000);
  outlet.setLimit(1);
  const third = (await driver.whenFinished(3)).get("token-3");
  assert.equal(third?.kind === "replied" && third.reply.code, 250);
});

test("as long as nobody lowers the limit, each failed try costs one message, further and further apart", async (t) => {
  const sink = await startScriptedSink(t, {
    answer: ({ verb }) => (verb === "BANNER" ? "554 5.3.2 no mail here" : undefined),
  });
  const { driver, clock } = startOutlet(t, [sink.port], letters(40), { limit: 40 });
  for (const [waitMs, count] of [
    [0, 1],
    [1000, 2],
    [2000, 3],
    [4000, 4],
  ] as const) {
    clock.advance(waitMs);
    await driver.whenFinished(count);
    clock.advance(900);
    await new Promise((resolve) => void setImmediate(resolve));
    assert.equal(driver.takenCount, count);
  }
  const result = driver.results.get("token-1");
  assert.equal(result?.kind === "replied" && `${result.phase} ${result.reply.code}`, "banner 554");
});
