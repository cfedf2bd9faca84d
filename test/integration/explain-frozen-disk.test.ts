// The database's disk stands still: reads go on, no commit ends. Every fsync of a server of the test's own waits for one
// lock, which is held. `explain` names the disk first, and takes it back.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import pg from "pg";
import { makeSlowDisk } from "../../bench/slow-disk.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { silentLog } from "../../src/platform/log.ts";
import { embeddedConfig } from "../../src/postgres/database.ts";
import { removeEmbedded, startEmbedded } from "../../src/postgres/embedded.ts";
import { migrate } from "../../src/postgres/migrate.ts";
import type { ExplainReport } from "../../src/reports/explain.ts";
import { needs } from "../rig/needs.ts";
import { databaseUrlOf } from "../rig/postgres.ts";
import { inScope } from "../rig/scope.ts";
import { jsonOf, lineOf, startCommand, type CommandPlace } from "./cli-command.ts";

test("while no commit ends, explain names the database's disk first, and takes it back", async (t) => {
  if (process.platform !== "linux") return t.skip("preloading is done as Linux does it");
  if (!needs(t, "cc")) return;
  await inScope(async (scope) => {
    const disk = await makeSlowDisk(scope, 0);
    assert.ok(!("missing" in disk));
    const dataDir = mkdtempSync(path.join(tmpdir(), "postlane-frozen-"));
    chmodSync(dataDir, 0o711);
    scope.after(async () => {
      await removeEmbedded(dataDir);
      rmSync(dataDir, { recursive: true, force: true });
    });
    const server = await startEmbedded({ dataDir, log: silentLog, env: disk.env });
    const client = new pg.Client(embeddedConfig(server));
    client.on("error", () => {});
    await client.connect();
    scope.after(() => client.end());
    await migrate(client);
    const place = { dataDir, databaseUrl: databaseUrlOf(server, server.database) };
    const front = startCommand(place, ["front"]);
    scope.after(async () => {
      front.kill("SIGKILL");
      await once(front, "close");
    });
    await lineOf(front, /http\.opened/, "stderr");

    const held = await holdLock(disk.env["POSTLANE_TEST_SLOW_FSYNC_LOCK"]!);
    scope.after(() => held.release());
    const commit = client.query("SELECT postlane.enqueue($1::jsonb)", [
      JSON.stringify({ to: "ann@example.com", subject: "Hi", text: "Hi" }),
    ]);
    const stuck = await untilAnswer(place, ({ limits }) => limits[0]!.code === "database_slow", 5000);
    assert.equal(stuck.limits[0]!.limits, "stop");
    assert.notEqual(stuck.answers.commits, null);
    await held.release();
    await commit;
    await untilAnswer(place, ({ answers }) => answers.commits === null, 10_000);
  });
});

/** As a disk in the middle of something that does not end. Whoever holds it ends with its input, and so with us. */
async function holdLock(lock: string): Promise<{ release(): Promise<void> }> {
  const holder = spawn("flock", [lock, "sh", "-c", "echo held; exec cat"], { stdio: ["pipe", "pipe", "ignore"] });
  await once(holder.stdout, "data");
  return {
    async release() {
      if (holder.exitCode !== null) return;
      holder.stdin.end();
      holder.stdout.resume();
      await once(holder, "close");
    },
  };
}

async function untilAnswer(
  place: CommandPlace,
  isSo: (report: ExplainReport) => boolean,
  msMax: number,
): Promise<ExplainReport> {
  const startedAtMs = systemClock.monotonicMs();
  for (;;) {
    const report = await jsonOf<ExplainReport>(place, ["explain"]);
    const tookMs = systemClock.monotonicMs() - startedAtMs;
    assert.ok(tookMs < msMax, `after ${tookMs} ms: ${JSON.stringify(report)}`);
    if (isSo(report)) return report;
  }
}
