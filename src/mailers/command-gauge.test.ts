import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMAND_OUTPUT_BYTES_MAX, parseCommandReading, readCommandGauge } from "./command-gauge.ts";

const row = { destination: "One.Example", queue: 1, deferred: 2, oldest_age_s: 3 };

test("what a command prints becomes a reading", () => {
  const printed = { queue: 120, deferred: 14, oldest_age_s: 310.4, shape: [row], problems: ["a\u0007b"] };
  assert.deepEqual(parseCommandReading(`${JSON.stringify(printed)}\n`), {
    kind: "read",
    reading: {
      queue: 120,
      deferred: 14,
      oldest_age_s: 310,
      shape: [{ ...row, destination: "one.example" }],
      problems: ["a b"],
      queue_source: "command",
    },
  });
  assert.deepEqual(parseCommandReading('{"queue":0}'), {
    kind: "read",
    reading: { queue: 0, queue_source: "command" },
  });
});

const BAD: readonly (readonly [printed: string, problem: RegExp])[] = [
  ["", /not print one JSON object, but: nothing/],
  ["42 messages", /but: 42 messages/],
  ["[1]", /it is no JSON object/],
  ["{}", /"queue" is no number/],
  ['{"queue":"12"}', /"queue" is no number/],
  ['{"queue":-1}', /"queue" is no number/],
  ['{"queue":1e300}', /"queue" is no number/],
  ['{"queue":1,"defered":2}', /key "defered" that does not exist; there are queue, deferred/],
  ['{"queue":1,"shape":{}}', /"shape" is no list/],
  [JSON.stringify({ queue: 1, shape: Array.from({ length: 51 }, () => row) }), /at most 50 rows/],
  [JSON.stringify({ queue: 1, shape: [{ ...row, destination: 5 }] }), /row 1 of "shape" has no "destination"/],
  [JSON.stringify({ queue: 1, shape: [{ ...row, domain: "x" }] }), /row 1 of "shape" has a key "domain"/],
  ['{"queue":1,"problems":[1]}', /"problems" is no list/],
  [`{"queue":1}${" ".repeat(COMMAND_OUTPUT_BYTES_MAX)}`, /more than 65536 octets/],
];

for (const [printed, problem] of BAD) {
  test(`refused: ${printed.slice(0, 50)}`, () => {
    const answer = parseCommandReading(printed);
    assert.ok(answer.kind === "failed");
    assert.match(answer.problem, problem);
  });
}

test("a command is run, and what goes wrong is said", async () => {
  const read = await readCommandGauge(["echo", '{"queue": 7}']);
  assert.deepEqual(read, { kind: "read", reading: { queue: 7, queue_source: "command" } });
  const refused = await readCommandGauge(["sh", "-c", "echo no rights >&2; exit 4"]);
  assert.deepEqual(refused, { kind: "failed", problem: "no rights" });
  const missing = await readCommandGauge(["/nowhere/gauge"]);
  assert.deepEqual(missing, { kind: "failed", problem: "/nowhere/gauge: not found" });
  const flood = await readCommandGauge(["sh", "-c", "yes | head -c 200000"]);
  assert.deepEqual(flood, { kind: "failed", problem: "sh: printed too much" });
});
