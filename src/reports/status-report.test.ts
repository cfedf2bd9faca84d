import assert from "node:assert/strict";
import { test } from "node:test";
import type { LaneId, LeaseId } from "../mail/ids.ts";
import { shapeStatus, totalsOf } from "./status-report.ts";
import type { PulseRow, SheetRow } from "./status-store.ts";

const BULK = 2 as LaneId;
const lanes = [{ id: BULK, name: "bulk", paused_at: null, is_held_by_guard: false }];

test("the sheet adds up over waiting and settled states", () => {
  const totals = totalsOf([
    { state: "queued", n: 5 },
    { state: "unknown", n: 1 },
    { state: "sent", n: 4 },
  ]);
  assert.deepEqual([totals.accepted, totals.waiting, totals.settled, totals.adds_up], [10, 6, 4, true]);
});

test("a state that holds fewer than none does not add up", () => {
  const sheet: readonly SheetRow[] = [
    { lane_id: BULK, state: "queued", n: -1 },
    { lane_id: BULK, state: "sent", n: 3 },
  ];
  assert.equal(shapeStatus({ lanes, sheet, pulses: [], oldest: [] }).totals.adds_up, false);
});

test("the pulses of a lane's dispatchers become one picture", () => {
  const pulses = [
    pulseRow(1, {
      in_flight: 3,
      rate_per_s: 30,
      waiting_p50_ms: 10,
      waiting_p99_ms: 90,
      outlets: [outlet(20, "wide")],
    }),
    pulseRow(2, {
      in_flight: 1,
      rate_per_s: 10,
      waiting_p50_ms: 50,
      waiting_p99_ms: 70,
      outlets: [outlet(0, "failing")],
    }),
  ];
  const [lane] = shapeStatus({ lanes, sheet: [], pulses, oldest: [] }).lanes;
  assert.deepEqual([lane!.dispatchers, lane!.in_flight, lane!.rate_per_s], [2, 4, 40]);
  assert.deepEqual([lane!.waiting_p50_ms, lane!.waiting_p99_ms], [20, 90]);
  assert.deepEqual(lane!.outlets, [
    { name: "default", window: 20, open: 2, reasons: [{ code: "failing", evidence: "failing" }] },
  ]);
});

test("a reason of the catalogue is told in its sentence, and one of another version as it came", () => {
  const reasons = [
    { code: "window_fixed", limits: "window", limit: 7, evidence: { max_open: 7 } },
    { code: "of_tomorrow", evidence: { figure: 1 } },
  ];
  const pulses = [pulseRow(1, { outlets: [{ name: "default", window: 7, open: 1, reasons }] })];
  const [lane] = shapeStatus({ lanes, sheet: [], pulses, oldest: [] }).lanes;
  assert.deepEqual(
    lane!.outlets[0]!.reasons.map(({ evidence }) => evidence),
    ["configured for 7 open at once", '{"figure":1}'],
  );
});

test("a dispatcher that has not spoken yet counts, and one whose lease is over does not", () => {
  const pulses = [pulseRow(1, null), { ...pulseRow(2, { in_flight: 9 }), is_alive: false }];
  const [lane] = shapeStatus({ lanes, sheet: [], pulses, oldest: [] }).lanes;
  assert.deepEqual([lane!.dispatchers, lane!.dispatchers_gone, lane!.in_flight], [1, 1, 0]);
  assert.deepEqual([lane!.waiting_p50_ms, lane!.waiting_p99_ms], [null, null]);
});

test("the oldest message of a lane, and that it is an estimate", () => {
  const oldest = [{ lane_id: BULK, overdue_ms: 1500.4, is_estimate: true }];
  const [lane] = shapeStatus({ lanes, sheet: [], pulses: [], oldest }).lanes;
  assert.deepEqual([lane!.oldest_waiting_ms, lane!.is_oldest_estimate], [1500, true]);
});

function pulseRow(id: number, pulse: PulseRow["pulse"]): PulseRow {
  return { id: id as LeaseId, lane_id: BULK, is_alive: true, pulse };
}

function outlet(window: number, reason: string): unknown {
  return { name: "default", window, open: 1, reasons: [{ code: reason, limit: window, evidence: reason }] };
}
