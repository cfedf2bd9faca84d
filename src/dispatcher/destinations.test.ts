import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageId } from "../mail/ids.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import { createDestinations, type DestinationRules, type Destinations } from "./destinations.ts";
import type { HealthRow } from "./health-store.ts";

const RULES: DestinationRules = {
  openMax: 20,
  claimAheadMax: 1000,
  isToldOf: true,
  hasRetryOutlets: true,
  mustProve: true,
};
const MINUTE_MS = 60_000;

const rowTo = (destination: string, attempts = 0): ClaimedRow =>
  ({ message_id: 1 as MessageId, destination, attempts }) as ClaimedRow;
const at = (nowMs: number) => ({ nowMs, databaseUs: nowMs * 1000 });
const told = (name: string, changes: Partial<HealthRow> = {}): HealthRow => ({
  name,
  successes: 0,
  failures: 0,
  answered_ago_ms: null,
  probe_in_ms: null,
  error: null,
  ...changes,
});

/** Claimed, handed over, taken by the relay, settled: nobody knows yet what became of it. */
function send(destinations: Destinations, row: ClaimedRow, nowMs: number): void {
  destinations.claimed(row);
  destinations.opened(row);
  destinations.closed(row, true, nowMs);
  destinations.concluded(row);
}

test("what has not answered gets one message, by the way for retries, until it has", () => {
  const destinations = createDestinations(RULES);
  const row = rowTo("new.example");
  assert.deepEqual(destinations.roomOf("new.example", at(0)), { rows: 1 });
  destinations.claimed(row);
  destinations.heard([], 0, ["new.example"]);
  assert.equal(destinations.routeOf(row, 0), "retry");
  destinations.opened(row);
  destinations.closed(row, true, 0);
  destinations.concluded(row);
  assert.equal(destinations.roomOf("new.example", at(1000)).rows, 0);

  assert.deepEqual(destinations.heard([told("new.example", { successes: 1, answered_ago_ms: 0 })], 2000), [
    "new.example",
  ]);
  assert.equal(destinations.roomOf("new.example", at(2000)).rows, 5);
  assert.equal(destinations.routeOf(row, 2000), "main");
  for (let sent = 0; sent < 5; sent++) send(destinations, row, 2000);
  assert.equal(destinations.roomOf("new.example", at(2000)).rows, 0);

  destinations.heard([told("new.example", { successes: 3, answered_ago_ms: 0 })], 3000);
  assert.equal(destinations.roomOf("new.example", at(3000)).rows, 1000);
});

test("a relay that never tells what became of a probe is asked again after ten minutes", () => {
  const destinations = createDestinations(RULES);
  destinations.claimed(rowTo("silent.example"));
  destinations.concluded(rowTo("silent.example"));
  destinations.heard([], 0, ["silent.example"]);
  send(destinations, rowTo("silent.example"), 1000);
  const room = destinations.roomOf("silent.example", at(2000));
  assert.equal(room.rows, 0);
  assert.equal(room.againAtUs, (2000 + 10 * MINUTE_MS) * 1000);
  assert.equal(destinations.roomOf("silent.example", at(1000 + 10 * MINUTE_MS + 1)).rows, 1);
});

test("a destination that fails waits for its probe, which goes by the way for retries", () => {
  const destinations = createDestinations(RULES);
  const row = rowTo("dead.example");
  destinations.claimed(row);
  destinations.concluded(row);
  destinations.heard([told("dead.example", { failures: 2, probe_in_ms: 30_000, error: "timed out" })], 0);
  assert.deepEqual(destinations.roomOf("dead.example", at(1000)), { rows: 0, againAtUs: 30_000_000 });
  assert.deepEqual(destinations.roomOf("dead.example", at(30_000)), { rows: 1, isByRetry: true });
  assert.equal(destinations.routeOf(row, 30_000), "retry");
  const { count, some } = destinations.throttled(1000);
  assert.equal(count, 1);
  assert.deepEqual(some[0]?.reason.evidence, {
    destination: "dead.example",
    failures: 2,
    probe_in_s: 29,
    error: "timed out",
  });
});

test("mail that somebody waits for goes its own way at first, and its retries by theirs", () => {
  const destinations = createDestinations({ ...RULES, mustProve: false });
  const row = rowTo("new.example");
  assert.deepEqual(destinations.roomOf("new.example", at(0)), { rows: 1000 });
  destinations.claimed(row);
  destinations.heard([], 0, ["new.example"]);
  assert.equal(destinations.routeOf(row, 0), "main");
  assert.equal(destinations.routeOf(rowTo("new.example", 1), 0), "retry");
  destinations.heard([told("new.example", { failures: 1, probe_in_ms: 0 })], 0);
  assert.equal(destinations.routeOf(row, 0), "retry");
});

test("without outlets for retries everything goes the same way", () => {
  const destinations = createDestinations({ ...RULES, hasRetryOutlets: false, mustProve: false });
  assert.equal(destinations.routeOf(rowTo("new.example", 3), 0), "main");
});

test("what more is claimed than its health allows shows as too little room", () => {
  const destinations = createDestinations({ ...RULES, mustProve: false });
  for (let row = 0; row < 10; row++) destinations.claimed(rowTo("dead.example"));
  assert.deepEqual(destinations.unheardOf([rowTo("dead.example"), rowTo("dead.example")]), ["dead.example"]);
  destinations.heard([told("dead.example", { failures: 1, probe_in_ms: 60_000 })], 0, ["dead.example"]);
  assert.deepEqual(destinations.unheardOf([rowTo("dead.example")]), []);
  assert.equal(destinations.roomOf("dead.example", at(0)).rows, -10);
});

test("what is told before anything is claimed is kept", () => {
  const destinations = createDestinations(RULES);
  destinations.heard([told("old.example", { successes: 3, answered_ago_ms: 1000 })], 0, ["old.example"]);
  assert.equal(destinations.routeOf(rowTo("old.example"), 0), "main");
  assert.equal(destinations.roomOf("old.example", at(0)).rows, 1000);
});

test("our own attempts count as before, and a stop closes", () => {
  const destinations = createDestinations({ ...RULES, isToldOf: false, hasRetryOutlets: false, mustProve: false });
  const row = rowTo("slow.example");
  destinations.claimed(row);
  destinations.failed("slow.example", 0, "421 busy");
  assert.equal(destinations.isOpenTo(row, 1000), false);
  assert.equal(destinations.isOpenTo(row, 15_000), true);
  destinations.answered("slow.example");
  assert.equal(destinations.isOpenTo(row, 1000), true);
  const reason = { code: "destination_paused", limits: "stop", limit: 0, evidence: {} } as const;
  destinations.stop(new Map([["slow.example", reason]]));
  assert.equal(destinations.isOpenTo(row, 1000), false);
  assert.deepEqual(destinations.roomOf("slow.example", at(0)), { rows: 0 });
  assert.deepEqual(destinations.throttled(0).some, [{ destination: "slow.example", reason }]);
});
