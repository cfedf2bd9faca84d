// `neighbour`: what a small PostgreSQL of the site's own, on the same disk, feels of our bulk mail. It commits 50 times
// a second, by a clock and not by what came before, and each commit is timed from when it was due: alone, beside bulk
// flat out, and beside the same mail in a Postfix that nobody governs. Every fsync of all of them takes 8 ms, one after
// another.

import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import pg from "pg";
import { createLog } from "../src/platform/log.ts";
import { openDatabase } from "../src/postgres/database.ts";
import { removeEmbedded } from "../src/postgres/embedded.ts";
import { postfixLack, startPostfix } from "../test/rig/postfix.ts";
import { inScope, type Scope } from "../test/rig/scope.ts";
import { startSmtpSink } from "../test/rig/smtp-sink.ts";
import type { Bar, BenchOptions, BenchReport } from "./bench-result.ts";
import { fillQueue } from "./fill.ts";
import { startLaneRig } from "./lane-rig.ts";
import { MESSAGE_BYTES } from "./newsletter.ts";
import { feedBySmtpSource, smtpProgramMissing } from "./peers/smtp-source.ts";
import { quantile, round } from "./quantile.ts";
import { makeSlowDisk } from "./slow-disk.ts";

const FULL = { seconds: 30, bulkRows: 1_000_000, peerMessages: 200_000 };
const QUICK = { seconds: 5, bulkRows: 150_000, peerMessages: 50_000 };
const COMMITS_PER_S = 50;
/** As many sessions as a small site keeps: a commit that takes long delays no other. */
const SESSIONS = 20;
const WARM_UP_MS = 1_500;

type Env = Readonly<Record<string, string>>;

export function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const sizes = quick ? QUICK : FULL;
  return inScope(async (scope) => {
    const disk = await makeSlowDisk(scope);
    if ("missing" in disk) throw new Error(`the slow disk is compiled with ${disk.missing}, which is not installed`);
    const site = await startSite(scope, disk.env);
    progress("the site's database alone");
    const alone = await site.commit(sizes.seconds);
    progress("beside bulk flat out");
    const beside = await besideBulk(site, sizes, disk.env);
    progress("beside the same mail in a Postfix that nobody governs");
    const postfix = await besidePostfix(site, sizes, disk.env);
    return report(alone, beside, postfix);
  });
}

interface Beside {
  readonly waitsMs: readonly number[];
  /** Messages that went out meanwhile, a second. */
  readonly perS: number;
}

function report(alone: readonly number[], beside: Beside, postfix: Beside | { readonly missing: string }): BenchReport {
  const idle = quantile(alone, 0.99);
  const besideMs = quantile(beside.waitsMs, 0.99);
  const besidePostfix = "missing" in postfix ? `missing: ${postfix.missing}` : quantile(postfix.waitsMs, 0.99);
  const isMeasured = typeof besidePostfix === "number";
  const bars: readonly Bar[] = [
    { key: "p99_ratio", op: "<=", value: 3 },
    { key: "of_postfix", op: "<=", value: 0.25 },
  ];
  return {
    figures: {
      idle_p50_ms: quantile(alone, 0.5),
      idle_p99_ms: idle,
      beside_p50_ms: quantile(beside.waitsMs, 0.5),
      beside_p99_ms: besideMs,
      beside_postfix_p99_ms: besidePostfix,
      p99_ratio: round(besideMs / idle),
      of_postfix: isMeasured ? round(besideMs / besidePostfix) : null,
      bulk_per_s: Math.round(beside.perS),
      postfix_per_s: "missing" in postfix ? null : Math.round(postfix.perS),
    },
    bars,
    notes: ["of_postfix is beside_p99_ms by beside_postfix_p99_ms."],
  };
}

interface Site {
  /** Milliseconds that each commit took, from when it was due. */
  commit(seconds: number): Promise<readonly number[]>;
}

async function startSite(scope: Scope, env: Env): Promise<Site> {
  const dataDir = mkdtempSync(path.join(os.tmpdir(), "postlane-bench-site-"));
  scope.after(async () => {
    await removeEmbedded(dataDir);
    rmSync(dataDir, { recursive: true, force: true });
  });
  const log = createLog("warn", { process: "bench" });
  const database = await openDatabase({ dataDir, log, role: "the site", env });
  scope.after(() => database.stop());
  await database.pool.query("CREATE TABLE public.visit (at timestamptz NOT NULL, page text NOT NULL)");
  const pool = new pg.Pool({ ...database.clientConfig, max: SESSIONS });
  // An idle session may hear that the server ends before it is ended itself; a commit hears it by its own query.
  pool.on("error", () => {});
  scope.after(() => pool.end());
  await commitFor(pool, 1);
  return { commit: (seconds) => commitFor(pool, seconds) };
}

async function commitFor(pool: pg.Pool, seconds: number): Promise<readonly number[]> {
  const startedAt = performance.now();
  const commits = Array.from({ length: seconds * COMMITS_PER_S }, async (_, index) => {
    const dueAt = startedAt + (index * 1000) / COMMITS_PER_S;
    await sleep(dueAt - performance.now());
    await pool.query("INSERT INTO public.visit VALUES (now(), $1)", [`/page/${index}`]);
    return performance.now() - dueAt;
  });
  return await Promise.all(commits);
}

function besideBulk(site: Site, { seconds, bulkRows }: typeof FULL, env: Env): Promise<Beside> {
  return inScope(async (scope) => {
    const sink = await startSmtpSink(scope);
    const rig = await startLaneRig(scope, { relay: sink, databaseEnv: env });
    const { pool } = rig.database;
    await fillQueue(pool, "bulk", { campaign: "flat out", status: "running", rows: bulkRows, destinations: 1000 });
    await rig.startDispatcher("bulk");
    await sleep(WARM_UP_MS);
    return await during(
      () => sink.count(),
      () => site.commit(seconds),
    );
  });
}

function besidePostfix(
  site: Site,
  { seconds, peerMessages }: typeof FULL,
  env: Env,
): Promise<Beside | { readonly missing: string }> {
  const missing = postfixLack() ?? smtpProgramMissing();
  if (missing !== undefined) return Promise.resolve({ missing });
  return inScope(async (scope) => {
    const sink = await startSmtpSink(scope);
    const postfix = await startPostfix(scope, { relayTo: sink, env });
    // More than it can take in this time; what is left is thrown away with the instance.
    const feeding = feedBySmtpSource(postfix.port, {
      messages: peerMessages,
      messageBytes: MESSAGE_BYTES,
      connections: 20,
    }).catch(() => {});
    await sleep(WARM_UP_MS);
    const beside = await during(
      () => sink.count(),
      () => site.commit(seconds),
    );
    await postfix.stop();
    await feeding;
    return beside;
  });
}

async function during(count: () => number, work: () => Promise<readonly number[]>): Promise<Beside> {
  const before = count();
  const startedAt = performance.now();
  const waitsMs = await work();
  return { waitsMs, perS: ((count() - before) * 1000) / (performance.now() - startedAt) };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
