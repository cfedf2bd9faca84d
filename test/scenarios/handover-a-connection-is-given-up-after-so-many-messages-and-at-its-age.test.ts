import assert from "node:assert/strict";
import { test } from "node:test";

import { letter, letters, startOutlet } from "../rig/handover-rig.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

test("a connection is given up after so many messages", async (t) => {
  const sink = await startScriptedSink(t);
  const { driver } = startOutlet(t, [sink.port], letters(25), {
    limit: 2,
    connectionsMax: 1,
    messagesPerConnectionMax: 10,
  });
  await driver.whenFinished(25);
  assert.deepEqual(countsByConnection(sink.accepted), [10, 10, 5]);
  assert.deepEqual(
    sink.commands.filter((line) => line.endsWith("QUIT")),
    ["1> QUIT", "2> QUIT"],
  );
  assert.deepEqual(sink.breaches, []);
});

test("a connection is given up at its age", async (t) => {
  const sink = await startScriptedSink(t);
  const settings = { limit: 1, connectionAgeMsMax: 1000 };
  const { driver, outlet, clock } = startOutlet(t, [sink.port], [letter(1)], settings);
  await driver.whenFinished(1);
  clock.advance(1000);
  driver.add(letter(2));
  outlet.wake();
  await driver.whenFinished(2);
  assert.deepEqual(countsByConnection(sink.accepted), [1, 1]);
  assert.ok(sink.commands.includes("1> QUIT"));
});

function countsByConnection(messages: readonly { readonly connection: number }[]): number[] {
  const counts = new Map<number, number>();
  for (const { connection } of messages) counts.set(connection, (counts.get(connection) ?? 0) + 1);
  return [...counts.values()];
}
