// Pulses and readings of whatever version or agent: read without an exception into what explain and the metrics can use.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { REASON_CODES, tellReason } from "../../src/mail/reasons.ts";
import { explain } from "../../src/reports/explain.ts";
import { readPulse, readReading, readReason } from "../../src/reports/explain-pulse.ts";
import { collectMetrics } from "../../src/reports/metrics.ts";
import { printMetrics } from "../../src/reports/metrics-text.ts";
import { dispatcherOf, laneOf, relayConfig, snapshotOf, surroundings } from "../rig/engine-snapshots.ts";

const RUNS = { numRuns: 500 };
const word = fc.string({ unit: "binary", maxLength: 40 });
const anything = fc.oneof(fc.anything({ maxDepth: 3 }), word, fc.double());
const reason = fc.record(
  { code: fc.oneof(fc.constantFrom(...REASON_CODES), word), limits: anything, limit: anything, evidence: anything },
  { requiredKeys: [] },
);
const outlet = fc.record(
  {
    name: anything,
    window: anything,
    open: anything,
    wants_more: anything,
    reasons: fc.array(fc.oneof(reason, anything)),
  },
  { requiredKeys: [] },
);
const pulse = fc.record(
  {
    rate_per_s: anything,
    settled_ms_ago: anything,
    commit_ms: anything,
    outlets: fc.oneof(fc.array(outlet, { maxLength: 3 }), anything),
    throttled: fc.oneof(
      fc.record(
        { count: anything, some: fc.array(fc.record({ destination: anything, reason })) },
        { requiredKeys: [] },
      ),
      anything,
    ),
  },
  { requiredKeys: [] },
);
const reading = fc.record(
  { queue: anything, shape: fc.oneof(fc.array(anything), anything), queue_source: anything, problems: anything },
  { requiredKeys: [] },
);
const FACTS = { version: "0", startedAtS: 1, cpuS: 1, residentBytes: 1, eventLoopLagS: 0 };
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

test("whatever a pulse and a reading hold, there is a report, and its metrics are lines of the format", () => {
  const config = relayConfig();
  fc.assert(
    fc.property(fc.oneof(pulse, anything), fc.oneof(reading, anything), (somePulse, someReading) => {
      const bulk = laneOf("bulk", {}, { queued: 5 });
      const lanes = [{ ...bulk, dispatchers: [{ ...dispatcherOf({}), pulse: readPulse(somePulse) }] }];
      const readings = [{ outlet: "relay", ageMs: 5, reading: readReading(someReading) }];
      const known = { snapshot: snapshotOf({ lanes, readings }), around: surroundings() };
      const report = explain({ ...known, question: { kind: "engine" } }, config);
      assert.ok(report.limits.length > 0);
      for (const { sentence } of report.limits) assert.doesNotMatch(sentence, CONTROL);
      const text = printMetrics(collectMetrics(known, { oldestS: {}, judged: [] }, config, FACTS));
      for (const line of text.split("\n").filter(Boolean)) {
        assert.match(line, /^(?:# (?:HELP|TYPE) postlane_\w+ .+|postlane_\w+(?:\{.*\})? -?[\d.]+(?:e[+-]?\d+)?)$/u);
      }
    }),
    RUNS,
  );
});

test("a reason that is read has all of its evidence, and a sentence", () => {
  fc.assert(
    fc.property(fc.oneof(reason, anything), (given) => {
      const read = readReason(given);
      if (read !== undefined) assert.notEqual(tellReason(read), "");
    }),
    RUNS,
  );
});
