import assert from "node:assert/strict";
import { test } from "node:test";

import { letters, startOutlet } from "../rig/handover-rig.ts";
import { SILENCE, startScriptedSink } from "../rig/scripted-sink.ts";

test("hosts share the connections by weight", async (t) => {
  const script = { answer: ({ verb }: { readonly verb: string }) => (verb === "DOT" ? SILENCE : undefined) };
  const heavy = await startScriptedSink(t, script);
  const light = await startScriptedSink(t, script);
  startOutlet(t, [], letters(8), {
    hosts: [
      { host: "127.0.0.1", port: heavy.port, weight: 3 },
      { host: "127.0.0.1", port: light.port, weight: 1 },
    ],
    limit: 8,
    connectionsMax: 8,
  });
  await Promise.all([
    heavy.waitFor(() => heavy.messages.length === 6),
    light.waitFor(() => light.messages.length === 2),
  ]);
  assert.deepEqual([heavy.connectionCount, light.connectionCount], [6, 2]);
});
