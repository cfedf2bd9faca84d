// A transaction that somebody leaves open, in a file of its own since it has to grow old first: `explain` names it first
// within 5 s, and takes it back within 10 s of its end.

import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { embeddedConfig } from "../../src/postgres/database.ts";
import { findEmbedded } from "../../src/postgres/embedded.ts";
import { provoke, startEngine, type EngineUnderTest } from "../rig/jam.ts";
import { until } from "../rig/lane-mail.ts";
import { inScope, type Scope } from "../rig/scope.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

/** As explain has it; the jam begins when the transaction is so old. */
const LONG_TRANSACTION_S = 30;

test("a transaction that stays open is named within five seconds, and taken back", async (t) => {
  await inScope(async (scope) => {
    const sink = await startScriptedSink(scope);
    let turn = 0;
    const engine = await startEngine(scope, {
      yaml: `outlets: { default: { type: smtp, hosts: ["127.0.0.1:${sink.port}"] } }\n`,
      flow: () => [`ann${turn++}@a.example`],
    });
    const old = await openTransaction(scope, engine);
    await provoke(t, engine, {
      code: "long_transaction",
      begin: () => old.untilSeconds(LONG_TRANSACTION_S),
      end: () => old.end(),
    });
  });
});

interface OldTransaction {
  untilSeconds(seconds: number): Promise<void>;
  end(): Promise<void>;
}

async function openTransaction(scope: Scope, { installation }: EngineUnderTest): Promise<OldTransaction> {
  const server = await findEmbedded(installation.dataDir);
  assert.ok(server !== undefined);
  const client = new pg.Client(embeddedConfig(server));
  client.on("error", () => {});
  await client.connect();
  scope.after(() => client.end());
  await client.query("BEGIN");
  await client.query("SELECT pg_current_xact_id()");
  const openedAt = performance.now();
  return {
    async untilSeconds(seconds) {
      await until("the transaction is old", () => performance.now() - openedAt >= seconds * 1000, 60_000);
    },
    end: async () => void (await client.query("ROLLBACK")),
  };
}
