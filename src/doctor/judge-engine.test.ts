import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "../platform/config.ts";
import type { EngineSnapshot, LaneView, PauseView } from "../reports/engine-snapshot.ts";
import { readPulse, readReading } from "../reports/explain-pulse.ts";
import type { FindingCode } from "./finding-catalogue.ts";
import { judgeConfig } from "./judge-config.ts";
import { judgeEngine, type EngineFacts } from "./judge-engine.ts";
import { judgeGauges } from "./judge-gauge.ts";

const STATES: LaneView["states"] = {
  scheduled: 0,
  queued: 0,
  deferred: 0,
  held: 0,
  unknown: 0,
  sent: 0,
  delivered: 0,
  bounced: 0,
  expired: 0,
  canceled: 0,
  suppressed: 0,
};
const alive = {
  id: 1,
  isAlive: true,
  leaseLeftMs: 9000,
  heldMs: 60_000,
  pulse: readPulse({ settled_ms_ago: 100 }),
};
const lane = (name: string, changed: Partial<LaneView> = {}): LaneView => ({
  name,
  pausedAtMs: null,
  isHeldByGuard: false,
  fullBecause: null,
  states: STATES,
  toSend: 0,
  queued: 0,
  dispatchers: [alive],
  ...changed,
});
const pause: PauseView = { kind: "outlet", name: "news", lane: null, pausedAtMs: 0, isByRule: false, reason: null };
const WELL: EngineSnapshot = {
  atMs: 0,
  lanes: [lane("transactional"), lane("bulk")],
  pausedCampaigns: [],
  heldBackCampaigns: [],
  pauses: [],
  readings: [],
  destinations: { failing: 0, worst: [] },
  waitingFor: {},
  unaccounted: [],
  returns: { unjudged: 0, oldestMs: null },
  transaction: null,
  commitStuckMs: null,
  guard: null,
};
const config = loadConfig({ cwd: "/", env: {} });

function codesOf(snapshot: Partial<EngineSnapshot>, facts: Partial<EngineFacts> = {}): readonly string[] {
  const sessions = { fronts: 1, has_hidden: false };
  return judgeEngine({ snapshot: { ...WELL, ...snapshot }, status: [], sessions, config, ...facts }).map(
    ({ code }) => code,
  );
}

const lanes = (changed: Partial<LaneView>): Partial<EngineSnapshot> => ({
  lanes: [lane("transactional"), lane("bulk", changed)],
});
const states = (changed: Partial<LaneView["states"]>) => lanes({ states: { ...STATES, ...changed } });
const campaign = { name: "news", lane: "bulk", waiting: 10, because: null };
const because = { kind: "canary_failed", rows: 100, failed: 50, limit_percent: 5 } as never;

const rows: readonly (readonly [FindingCode, Partial<EngineSnapshot>])[] = [
  ["lane_without_dispatcher", lanes({ dispatchers: [] })],
  ["dispatcher_gone", lanes({ dispatchers: [alive, { ...alive, isAlive: false }] })],
  ["lane_full", lanes({ fullBecause: "10,000,000 messages wait" })],
  ["guard_holds", lanes({ isHeldByGuard: true })],
  ["lane_paused", lanes({ pausedAtMs: 0 })],
  ["outlet_paused", { pauses: [pause] }],
  ["destination_paused", { pauses: [{ ...pause, kind: "destination" }] }],
  ["paused_by_rule", { pauses: [{ ...pause, isByRule: true }] }],
  ["campaign_paused", { pausedCampaigns: [campaign] }],
  ["canary_failed", { pausedCampaigns: [{ ...campaign, because }] }],
  ["commits_stuck", { commitStuckMs: 10_000 }],
  ["unknown_waiting", states({ unknown: 3 })],
  ["held_waiting", states({ held: 1 })],
  ["unaccounted_waiting", { unaccounted: [{ outlet: "news", messages: 4 }] }],
  ["returns_unjudged", { returns: { unjudged: 5, oldestMs: 400_000 } }],
  ["books_wrong", states({ sent: -1 })],
  ["lane_unserved", { lanes: [...WELL.lanes, lane("old", { states: { ...STATES, queued: 7 } })] }],
];
for (const [code, changed] of rows) test(`${code}`, () => assert.deepEqual(codesOf(changed), [code]));

test("an engine that is well has no findings", () => assert.deepEqual(codesOf({}), []));

test("an engine that is down is one finding, and a missing front is another", () => {
  const nobody = { fronts: 0, has_hidden: false };
  const idle = { lanes: WELL.lanes.map((one) => ({ ...one, dispatchers: [] })) };
  assert.deepEqual(codesOf(idle, { sessions: nobody }), ["engine_down"]);
  assert.deepEqual(codesOf({}, { sessions: nobody }), ["front_missing"]);
  assert.deepEqual(codesOf({}, { sessions: { fronts: 0, has_hidden: true } }), []);
});

test("a lane is stuck when its oldest message is due, and nothing was settled, for so long", () => {
  const quiet = { ...alive, pulse: readPulse({ settled_ms_ago: 120_000 }) };
  const stuck = lanes({ toSend: 9, dispatchers: [quiet] });
  const status = (ms: number) => ({ status: [{ name: "bulk", oldest_waiting_ms: ms }] });
  assert.deepEqual(codesOf(stuck, status(120_000)), ["lane_stuck"]);
  assert.deepEqual(codesOf(stuck, status(1000)), []);
  assert.deepEqual(codesOf(lanes({ toSend: 9 }), status(120_000)), []);
});

const SMTP = { POSTLANE_OUTLETS__DEFAULT__TYPE: "smtp", POSTLANE_OUTLETS__DEFAULT__HOSTS: "[relay.example.com]" };

test("what a configuration leaves out matters where mail leaves this machine", () => {
  const codes = (env: Record<string, string>) =>
    judgeConfig(loadConfig({ cwd: "/", env, hostname: "box.example" }), "box.example").map(
      ({ code }) => code as string,
    );
  assert.deepEqual(codes({}), []);
  assert.deepEqual(codes(SMTP), ["from_default", "public_url_missing", "returns_domain_missing"]);
  const all = {
    POSTLANE_FROM: "Shop <shop@example.com>",
    POSTLANE_PUBLIC_URL: "https://mail.example.com",
    POSTLANE_RETURNS__DOMAIN: "bounces.example.com",
  };
  assert.deepEqual(codes({ ...SMTP, ...all }), []);
});

test("a gauge that was never read, and one that fell silent", () => {
  const { outlets } = loadConfig({ cwd: "/", env: { ...SMTP, POSTLANE_OUTLETS__DEFAULT__GAUGE__TYPE: "postfix" } });
  const codes = (ageMs?: number) =>
    judgeGauges(outlets, ageMs === undefined ? [] : [{ outlet: "default", ageMs, reading: readReading({}) }]).map(
      ({ code }) => code as string,
    );
  assert.deepEqual(codes(), ["gauge_missing"]);
  assert.deepEqual(codes(60_000), ["gauge_silent"]);
  assert.deepEqual(codes(1200), []);
});
