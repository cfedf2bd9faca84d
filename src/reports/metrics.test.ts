// The metrics against their page, against Prometheus' own checks, and against hostile words.

import assert from "node:assert/strict";
import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import {
  bulkSaying,
  dispatcherOf,
  laneOf,
  NOW_MS,
  pulseOf,
  relayConfig,
  snapshotOf,
  surroundings,
} from "../../test/rig/engine-snapshots.ts";
import { promtool } from "../../test/rig/promtool.ts";
import type { MetricsExtras } from "./metrics-extras.ts";
import { printMetrics } from "./metrics-text.ts";
import { collectMetrics, metricsOf, type ProcessFacts } from "./metrics.ts";

const PAGE = path.resolve(import.meta.dirname, "../../../docs/reference/metrics.md");
const FACTS: ProcessFacts = {
  version: "0.1.0",
  startedAtS: 1_795_000_000,
  cpuS: 3.5,
  residentBytes: 9e7,
  eventLoopLagS: 0.002,
};
const EXTRAS: MetricsExtras = {
  oldestS: { bulk: 12.5, transactional: 0 },
  judged: [{ source: "maildir", judgement: "bounced", returns: 4 }],
  walFsyncs: 1200,
  deadRows: 90_000,
};
const reading = {
  queue: 400,
  deferred: 3,
  oldest_age_s: 60,
  fsync_ms: 2,
  fsync_usual_ms: 2,
  pressure_io: 0.1,
  pressure_cpu: 0.2,
  pressure_memory: 0,
  load_1min: 1.5,
  disk_free_bytes: 5e9,
  disk_total_bytes: 1e10,
};
const full = bulkSaying(
  { settle_group: 180, throttled: { count: 3, some: [] } },
  { pace_per_s: 212, wants_more: true },
  { readings: [{ outlet: "relay", ageMs: 800, reading }], unaccounted: [{ outlet: "relay", messages: 2 }] },
);
const config = relayConfig();
const known = { snapshot: full, around: surroundings() };

test("docs/reference/metrics.md lists every metric, with its type and labels, and none that is gone", () => {
  const documented = [
    ...readFileSync(PAGE, "utf8").matchAll(/^\| `(postlane_\w+)(?:\{([\w,]+)\})?` \| (\w+) \|/gm),
  ].map(([, name, labels = "", type]) => ({ name, labels, type }));
  const made = collectMetrics(known, EXTRAS, config, FACTS).map(({ name, type, samples }) => ({
    name,
    labels: Object.keys(samples[0]?.labels ?? {}).join(),
    type,
  }));
  assert.deepEqual(documented, made);
});

test("promtool finds nothing to complain about", (t) => {
  const tool = promtool(t);
  if (tool === undefined) return;
  const { status, stdout, stderr } = spawnSync(tool, ["check", "metrics"], {
    input: metricsOf(known, EXTRAS, config, FACTS),
    encoding: "utf8",
  });
  assert.deepEqual([status, stdout, stderr], [0, "", ""]);
});

test("the alerts hold: promtool checks them, and runs their tests", (t) => {
  const tool = promtool(t);
  if (tool === undefined) return;
  for (const args of [
    ["check", "rules", "alerts.yml"],
    ["test", "rules", "alerts.test.yml"],
  ]) {
    const ended: SpawnSyncReturns<string> = spawnSync(tool, args, { cwd: path.dirname(PAGE), encoding: "utf8" });
    assert.equal(ended.status, 0, `${args.join(" ")}: ${ended.stdout}${ended.stderr}`);
  }
});

test("the alerts know only metrics that there are, and each has a test of its own", () => {
  const read = (name: string): string => readFileSync(path.join(path.dirname(PAGE), name), "utf8");
  const there = new Set(collectMetrics(known, EXTRAS, config, FACTS).map(({ name }) => name));
  const asked = [...read("alerts.yml").matchAll(/\bpostlane_\w+/g)].map(([name]) => name);
  assert.deepEqual(
    asked.filter((name) => !there.has(name)),
    [],
  );
  const alerts = [...read("alerts.yml").matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
  const tested = [...read("alerts.test.yml").matchAll(/- name: (Postlane\w+)/g)].map(([, name]) => name);
  assert.deepEqual(tested, alerts);
});

test("a value and its labels, as Prometheus reads them", () => {
  const text = metricsOf(known, EXTRAS, config, FACTS);
  for (const line of [
    'postlane_queue_messages{lane="bulk",state="queued"} 9000',
    'postlane_queue_oldest_seconds{lane="bulk"} 12.5',
    'postlane_dispatcher_alive{lane="bulk"} 1',
    'postlane_dispatcher_settle_group_messages{lane="bulk",dispatcher="7"} 180',
    'postlane_handover_pace_per_second{lane="bulk",dispatcher="7",outlet="relay"} 212',
    'postlane_gauges_fsync_seconds{outlet="relay"} 0.002',
    'postlane_governor_reason{lane="bulk",outlet="relay",code="window_fixed"} 1',
    'postlane_returns_unaccounted_messages{outlet="relay"} 2',
    "postlane_database_wal_fsyncs_total 1200",
  ]) {
    assert.ok(text.includes(`\n${line}\n`), line);
  }
});

test("what is not known has no sample, and a lane without a dispatcher says so", () => {
  const snapshot = snapshotOf({ lanes: [laneOf("bulk", { dispatchers: [] })] });
  const text = metricsOf({ snapshot, around: surroundings() }, { oldestS: {}, judged: [] }, config, FACTS);
  assert.match(text, /^postlane_dispatcher_alive\{lane="bulk"\} 0$/m);
  assert.doesNotMatch(text, /NaN|queue_oldest|wal_fsyncs|pace_per_second/);
});

test("while the database is silent the last look is told, with its age", () => {
  const around = surroundings({ databaseSilent: { sinceMs: NOW_MS - 9000 }, nowMs: full.atMs + 9000 });
  const text = metricsOf({ snapshot: full, around }, EXTRAS, config, FACTS);
  assert.match(text, /^postlane_front_database_answers 0$/m);
  assert.match(text, /^postlane_front_snapshot_age_seconds 9$/m);
  assert.match(text, /code="database_silent"\} 1$/m);
  assert.match(metricsOf({ snapshot: undefined, around }, EXTRAS, config, FACTS), /database_answers 0/);
});

test("the alarm of upkeep is a metric", () => {
  const around = surroundings({ alarms: [{ lane: "bulk", sinceMs: NOW_MS }] });
  const text = metricsOf({ snapshot: full, around }, EXTRAS, config, FACTS);
  assert.match(text, /^postlane_upkeep_no_progress\{lane="bulk"\} 1$/m);
  assert.match(text, /^postlane_upkeep_no_progress\{lane="transactional"\} 0$/m);
});

test("no destination becomes a label, however many fail", () => {
  const some = Array.from({ length: 20 }, (_, index) => ({
    destination: `d${index}.secret.example`,
    reason: {
      code: "destination_failing",
      limits: "stop",
      limit: 0,
      evidence: { destination: `d${index}.secret.example`, failures: 1, probe_in_s: 1, error: "ann@secret.example" },
    },
  }));
  const lane = laneOf("bulk", { dispatchers: [dispatcherOf(pulseOf({ throttled: { count: 20, some } }))] });
  const text = metricsOf({ snapshot: snapshotOf({ lanes: [lane] }), around: surroundings() }, EXTRAS, config, FACTS);
  assert.doesNotMatch(text, /secret/);
});

test("a hostile word in a label stays in its label", () => {
  const samples = [{ labels: { lane: 'a"} 1\nevil{x="\\' }, value: 1 }];
  assert.equal(
    printMetrics([{ name: "postlane_x", type: "gauge", help: "one\ntwo\\", samples }]),
    '# HELP postlane_x one\\ntwo\\\\\n# TYPE postlane_x gauge\npostlane_x{lane="a\\"} 1 evil{x=\\"\\\\"} 1\n',
  );
});
