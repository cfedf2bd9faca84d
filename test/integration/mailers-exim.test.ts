// Exim's queue as a reading, from a real Exim: what was not tried yet, what was tried, and what is frozen.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { readCommandGauge } from "../../src/mailers/command-gauge.ts";
import { readEximGauge } from "../../src/mailers/exim/exim-gauge.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { needsExim, startExim, type Exim } from "../rig/exim.ts";
import { until } from "../rig/lane-mail.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";
import { freePort } from "../rig/smtp-sink.ts";
import { runCommand } from "./cli-command.ts";

const run = promisify(execFile);
const ports = { random: systemRandom, wallMs: () => Date.now() };

async function handOver({ host, port }: Exim, to: string, count: number): Promise<void> {
  await run("/usr/sbin/smtp-source", ["-f", "b+x@returns.test", "-t", to, "-m", String(count), `${host}:${port}`]);
}

test("Exim's queue is told apart: never tried, tried, frozen", async (t) => {
  if (!(await needsExim(t))) return;
  const sink = await startScriptedSink(t);
  const routes = {
    "dead.test": { host: "127.0.1.9", port: await freePort() },
    "one.test": { host: "127.0.0.1", port: sink.port },
  };
  const exim = await startExim(t, { routes });
  const reading = async () => {
    const answer = await readEximGauge({ command: exim.command }, ports);
    assert.ok(answer.kind === "read", JSON.stringify(answer));
    return answer.reading;
  };
  assert.deepEqual(await reading(), { queue: 0, deferred: 0, shape: [] });

  await handOver(exim, "u@one.test", 1);
  await sink.waitFor(() => sink.accepted.length === 1);
  await handOver(exim, "u@dead.test", 3);
  await until("three tried", async () => (await reading()).deferred === 3);
  const { queue, deferred, oldest_age_s, shape } = await reading();
  assert.deepEqual([queue, deferred], [0, 3]);
  assert.ok(oldest_age_s! >= 0 && oldest_age_s! < 60);
  assert.deepEqual(
    shape!.map((row) => [row.destination, row.queue, row.deferred]),
    [["dead.test", 0, 3]],
  );

  const [frozen] = (await exim.run("-bp")).match(/\w{6}-\w{6}-\w{2}/)!;
  await exim.run("-Mf", frozen);
  assert.equal((await reading()).deferred, 3);
});

test("a message that Exim has only queued is work", async (t) => {
  if (!(await needsExim(t))) return;
  const exim = await startExim(t, { routes: { "dead.test": { host: "127.0.1.9", port: await freePort() } } });
  await queueOnly(exim, "u@dead.test");
  const answer = await readEximGauge({ command: exim.command, spool: exim.spool }, ports);
  assert.ok(answer.kind === "read");
  assert.deepEqual([answer.reading.queue, answer.reading.deferred], [1, 0]);

  const withoutSpool = await readEximGauge({ command: exim.command, spool: "/nowhere" }, ports);
  assert.ok(withoutSpool.kind === "read");
  assert.deepEqual([withoutSpool.reading.queue, withoutSpool.reading.deferred], [1, undefined]);
  assert.match(withoutSpool.reading.problems![0]!, /cannot be read \(ENOENT/);
});

test("the command prints what the gauge of type command reads", async (t) => {
  if (!(await needsExim(t))) return;
  const exim = await startExim(t, { routes: { "dead.test": { host: "127.0.1.9", port: await freePort() } } });
  await queueOnly(exim, "u@dead.test");
  const dataDir = mkdtempSync(path.join(os.tmpdir(), "postlane-gauge-"));
  t.after(() => rmSync(dataDir, { recursive: true }));
  const { exitCode, stdout } = await runCommand({ dataDir }, ["gauge", "exim", "--exim", exim.program]);
  assert.equal(exitCode, 0);
  const read = await readCommandGauge(["printf", "%s", stdout]);
  assert.ok(read.kind === "read");
  assert.equal(read.reading.queue, 1);
  const missing = await runCommand({ dataDir }, ["gauge", "exim", "--exim", "/nowhere/exim"]);
  assert.equal(missing.exitCode, 1);
  assert.match(missing.stderr, /\/nowhere\/exim: not found/);
});

/** As the sendmail command, without any attempt to deliver. */
async function queueOnly({ program }: Exim, to: string): Promise<void> {
  const child = run(program, ["-odq", "-f", "a@b.test", to]);
  child.child.stdin!.end("Subject: x\n\nx\n");
  await child;
}
