import assert from "node:assert/strict";
import { test } from "node:test";
import { tellReason } from "../mail/reasons.ts";
import {
  divideWindow,
  governDestination,
  governOutlet,
  healthyDestination,
  healthyOutlet,
  probeAtMs,
  recordFailure,
  recordSuccess,
  type DestinationReadings,
  type OutletReadings,
  type Verdict,
} from "./verdict.ts";

const SETTINGS = { openMax: 40 };
const codes = (verdict: Verdict) => verdict.reasons.map((reason) => reason.code);

test("while nothing fails the window is the configured one, the pace is not limited, and the reason says so", () => {
  const verdict = governOutlet(healthyOutlet, SETTINGS, 0);
  assert.equal(verdict.window, 40);
  assert.equal(verdict.pace, Infinity);
  assert.equal(verdict.changesAtMs, undefined);
  assert.deepEqual(verdict.reasons, [
    { code: "window_fixed", limits: "window", limit: 40, evidence: { max_open: 40 } },
  ]);
});

test("a failure closes the window, one probe opens at its time, a success opens it fully", () => {
  const failed = recordFailure(healthyOutlet, 10_000, "connection refused");
  const closed = governOutlet(failed, SETTINGS, 10_500);
  assert.equal(closed.window, 0);
  assert.equal(closed.changesAtMs, 11_000);
  assert.deepEqual(codes(closed), ["outlet_failing", "window_fixed"]);
  assert.equal(tellReason(closed.reasons[0]!), "fails: 1 failure, the last: connection refused; next probe in 1 s");

  const probing = governOutlet(failed, SETTINGS, 11_000);
  assert.equal(probing.window, 1);
  assert.deepEqual(codes(probing), ["probing", "outlet_failing", "window_fixed"]);

  assert.equal(governOutlet(recordSuccess(failed), SETTINGS, 11_000).window, 40);
  assert.equal(recordSuccess(failed), healthyOutlet);
});

test("what kept the outlet from taking mail names the reason", () => {
  const kinds = { unreachable: "relay_unreachable", credentials: "credentials_refused", tls: "tls_refused" } as const;
  for (const [kind, code] of Object.entries(kinds)) {
    const failed = recordFailure(healthyOutlet, 0, "no", kind as keyof typeof kinds);
    assert.equal(codes(governOutlet(failed, SETTINGS, 10))[0], code);
    const again = recordFailure(failed, 20, "no more", "other");
    assert.equal(codes(governOutlet(again, SETTINGS, 30))[0], "outlet_failing", "the last kind of the wave counts");
  }
});

test("an outlet's probes wait 1 s, doubling to 8 s; a destination's 5 s, doubling to 15 min", () => {
  assert.deepEqual(probeWaits(healthyOutlet, 6), [1, 2, 4, 8, 8, 8]);
  assert.deepEqual(probeWaits(healthyDestination, 10), [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
  // A wrong password given every few seconds may lock the account.
  assert.deepEqual(probeWaits(healthyOutlet, 7, "credentials"), [2, 4, 8, 16, 32, 60, 60]);
});

/** Seconds from each failed probe to the next one. */
function probeWaits(
  healthy: OutletReadings | DestinationReadings,
  probes: number,
  kind: "unreachable" | "credentials" = "unreachable",
): number[] {
  const fail = (readings: OutletReadings | DestinationReadings, atMs: number) =>
    readings.target === "outlet"
      ? recordFailure(readings, atMs, "silent", kind)
      : recordFailure(readings, atMs, "silent");
  const waits: number[] = [];
  let readings = fail(healthy, 0);
  for (let atMs = 0; waits.length < probes; readings = fail(readings, atMs)) {
    const probeAt = probeAtMs(readings) ?? assert.fail("no probe");
    waits.push((probeAt - atMs) / 1000);
    atMs = probeAt;
  }
  return waits;
}

test("hand-overs that were open at the stop fail as one wave, and do not push the probe away", () => {
  let readings = recordFailure(healthyOutlet, 0, "connection lost");
  for (let open = 1; open < 40; open += 1) readings = recordFailure(readings, open * 20, "connection lost too");
  assert.equal(readings.failuresInARow, 1);
  assert.equal(probeAtMs(readings), 1000);
  assert.equal(readings.lastFailureReason, "connection lost too");
});

test("a destination fails under its own name", () => {
  const named = { ...SETTINGS, name: "one.example" };
  const verdict = governDestination(recordFailure(healthyDestination, 0, "4.4.1"), named, 4_999);
  assert.equal(verdict.window, 0);
  assert.equal(codes(verdict)[0], "destination_failing");
  assert.equal(tellReason(verdict.reasons[0]!), "one.example fails: 1 failure, the last: 4.4.1; next probe in 1 s");
});

test("a lane's share and giving way cut the window, and leave one slot", () => {
  const shared = governOutlet(healthyOutlet, { openMax: 40, share: 0.75 }, 0);
  assert.equal(shared.window, 30);
  assert.deepEqual(codes(shared), ["lane_share", "window_fixed"]);

  const gaveWay = governOutlet(healthyOutlet, { openMax: 40, share: 0.75, gaveWay: true }, 0);
  assert.equal(gaveWay.window, 15);
  assert.deepEqual(codes(gaveWay), ["gave_way", "lane_share", "window_fixed"]);

  assert.equal(governOutlet(healthyOutlet, { openMax: 2, share: 0.1, gaveWay: true }, 0).window, 1);
  assert.equal(governOutlet(healthyOutlet, { openMax: 0, share: 0.1, gaveWay: true }, 0).window, 0);
  assert.deepEqual(codes(governOutlet(healthyOutlet, { openMax: 5, share: 1, gaveWay: false }, 0)), ["window_fixed"]);
});

test("the window is never more than its tightest reason, which stands first", () => {
  for (const openMax of [0, 1, 2, 7, 40]) {
    for (const share of [0.01, 0.5, 1]) {
      for (const nowMs of [0, 999, 1000]) {
        const verdict = governOutlet(recordFailure(healthyOutlet, 0, "x"), { openMax, share, gaveWay: true }, nowMs);
        const limits = verdict.reasons.map((reason) => reason.limit);
        assert.equal(verdict.window, Math.min(...limits));
        assert.deepEqual(
          limits,
          limits.toSorted((one, other) => one - other),
        );
        assert.ok(verdict.window <= Math.min(1, openMax));
      }
    }
  }
});

test("the same readings give the same verdict", () => {
  const readings = recordFailure(healthyOutlet, 5, "x");
  assert.deepEqual(governOutlet(readings, SETTINGS, 7), governOutlet(readings, SETTINGS, 7));
});

test("dispatchers' parts sum to the window, differ by one at most, and a probe goes to the first", () => {
  for (let window = 0; window <= 45; window += 1) {
    for (let dispatchers = 1; dispatchers <= 6; dispatchers += 1) {
      const parts = Array.from({ length: dispatchers }, (_, ordinal) => divideWindow(window, dispatchers, ordinal));
      assert.equal(
        parts.reduce((sum, part) => sum + part, 0),
        window,
      );
      assert.ok(Math.max(...parts) - Math.min(...parts) <= 1);
    }
  }
  assert.deepEqual(
    [0, 1, 2].map((ordinal) => divideWindow(1, 3, ordinal)),
    [1, 0, 0],
  );
  assert.throws(() => divideWindow(10, 2, 2), RangeError);
  assert.throws(() => divideWindow(10, 0, 0), RangeError);
});
