// A pooler that refuses or swallows what our sessions begin with is refused before anything is entrusted to it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { needs } from "../rig/needs.ts";
import { startPgBouncer } from "../rig/pgbouncer.ts";
import { testDatabase } from "../rig/postgres.ts";
import { runCommand } from "./cli-command.ts";

test("no process works through a pooler that swallows the settings of its sessions", async (t) => {
  if (!needs(t, "pgbouncer")) return;
  const { databaseUrl, dataDir } = await testDatabase(t);
  for (const [settings, code] of [
    [{ ignore_startup_parameters: "options" }, "database_options_lost"],
    [{}, "database_unreachable"],
  ] as const) {
    const through = await startPgBouncer(t, { databaseUrl, mode: "session", settings });
    const { exitCode, stdout } = await runCommand({ dataDir, databaseUrl: through }, ["status", "--json"]);
    assert.equal(exitCode, 1);
    const { error } = JSON.parse(stdout) as { readonly error: { readonly code: string; readonly message: string } };
    assert.equal(error.code, code);
    assert.match(error.message, /directly, not through a transaction pooler/);
  }
});
