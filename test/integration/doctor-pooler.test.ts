// `postlane doctor` through a real PgBouncer, in the modes and settings that people run it with.

import assert from "node:assert/strict";
import { test } from "node:test";
import { needs } from "../rig/needs.ts";
import { startPgBouncer, type PoolerOptions } from "../rig/pgbouncer.ts";
import { testDatabase } from "../rig/postgres.ts";
import { askDoctor } from "./doctor-run.ts";

const SWALLOW = { ignore_startup_parameters: "options" };

const cases: readonly (readonly [string, Omit<PoolerOptions, "databaseUrl">, string])[] = [
  ["as it is installed", { mode: "transaction" }, "pooler_refuses_settings"],
  ["in transaction mode, swallowing options", { mode: "transaction", settings: SWALLOW }, "pooler_shares_sessions"],
  ["in session mode, swallowing options", { mode: "session", settings: SWALLOW }, "pooler_drops_settings"],
  ["in session mode", { mode: "session" }, "pooler_refuses_settings"],
];

for (const [what, options, code] of cases) {
  test(`PgBouncer ${what}: ${code}`, async (t) => {
    if (!needs(t, "pgbouncer")) return;
    const { databaseUrl, dataDir } = await testDatabase(t);
    const answer = await askDoctor({ dataDir, databaseUrl: await startPgBouncer(t, { databaseUrl, ...options }) });
    assert.deepEqual(
      answer.codes.filter((one) => one.startsWith("pooler_")),
      [code],
    );
    assert.equal(answer.exitCode, 1);
  });
}

test("without a pooler there is no such finding", async (t) => {
  const answer = await askDoctor(await testDatabase(t));
  assert.deepEqual(
    answer.codes.filter((one) => one.startsWith("pooler_")),
    [],
  );
});
