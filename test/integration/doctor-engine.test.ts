// `postlane doctor` on a database with mail in it: nobody at work, then a real front and dispatchers; pauses, a lane that
// nobody serves, messages that wait for a person.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { testDatabase } from "../rig/postgres.ts";
import { until } from "../rig/lane-mail.ts";
import { endWithTest, enqueue, runCommand, startCommand } from "./cli-command.ts";
import { askDoctor } from "./doctor-run.ts";

test("nobody at work is one problem; with a front and dispatchers it is gone", async (t) => {
  const database = await testDatabase(t);
  await enqueue(database);
  const down = await askDoctor(database);
  assert.ok(down.codes.includes("engine_down"));
  assert.equal(down.exitCode, 1);

  const up = startCommand(database, ["up"]);
  endWithTest(t, up);
  await until("nothing found of the engine", async () => {
    const { findings } = await askDoctor(database, ["--strict"]);
    return findings.every(({ check }) => check !== "engine");
  });
  up.kill("SIGTERM");
  await new Promise((resolve) => up.once("close", resolve));
});

test("what is paused, what waits for a person, and a lane that no configuration has", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const message = await enqueue(database, { lane: "bulk" });
  await runCommand(database, ["message", "hold", message]);
  await runCommand(database, ["lane", "pause", "bulk"]);
  await runCommand(database, ["outlet", "pause", "default"]);
  await runCommand(database, ["destination", "pause", "example.com"]);
  await pool.query("INSERT INTO postlane.lane (name) VALUES ('old')");
  await enqueue(database, { lane: "old" });
  const { codes } = await askDoctor(database);
  for (const code of ["held_waiting", "lane_paused", "outlet_paused", "destination_paused", "lane_unserved"]) {
    assert.ok(codes.includes(code), `${code} of ${codes.join(", ")}`);
  }
});

test("mail that leaves this machine: no key signs it, nothing measures the relay, and gauges that do not work", async (t) => {
  const database = await testDatabase(t);
  writeFileSync(path.join(database.dataDir, "postlane.yaml"), CONFIG);
  const { codes, findings } = await askDoctor(database);
  for (const code of [
    "from_unsigned",
    "relay_unmeasured",
    "gauge_command_failed",
    "postfix_instance_wrong",
    "gauge_missing",
    "relay_unreachable",
  ]) {
    assert.ok(codes.includes(code), `${code} of ${codes.join(", ")}`);
  }
  const failed = findings.find(({ code }) => code === "gauge_command_failed");
  assert.match(failed?.found ?? "", /outlet measured: .*exim -bpc/);
});

const CONFIG = `from: Shop <shop@shop.example>
lanes: { bulk: { outlets: [plain, measured, instance] } }
outlets:
  plain: { type: smtp, hosts: ["127.0.0.1:1"] }
  measured: { type: smtp, hosts: ["127.0.0.1:1"], gauge: { type: command, command: [sh, -c, "echo no exim -bpc >&2; exit 1"] } }
  instance: { type: smtp, hosts: ["127.0.0.1:1"], gauge: { type: postfix, config_dir: ./no-such-instance } }
`;
