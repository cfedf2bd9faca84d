// A transaction that somebody leaves open, in a file of its own since it has to grow old first: `explain` names it first
// within 5 s, and takes it back within 10 s of its end.

import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { provoke, startEngine } from "../rig/jam.ts";
import { inScope } from "../rig/scope.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

/** As explain has it; the jam begins when the transaction is so old. */
const LONG_TRANSACTION_MS = 30_000;

test("a transaction that stays open is named within five seconds, and taken back", async (t) => {
  await inScope(async (scope) => {
    const sink = await startScriptedSink(scope);
    let turn = 0;
    const engine = await startEngine(scope, {
      yaml: `outlets: { default: { type: smtp, hosts: ["127.0.0.1:${sink.port}"] } }\n`,
      flow: () => [`ann${turn++}@a.example`],
    });
    const client = await engine.pool.connect();
    scope.after(() => client.release(true));
    await provoke(t, engine, {
      code: "long_transaction",
      async begin() {
        await client.query("BEGIN");
        await client.query("SELECT pg_current_xact_id()");
        await sleep(LONG_TRANSACTION_MS);
      },
      end: async () => void (await client.query("ROLLBACK")),
    });
  });
});
