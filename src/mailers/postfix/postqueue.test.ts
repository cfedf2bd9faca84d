import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../platform/random.ts";
import { parseListed, readPostqueue } from "./postqueue.ts";

const ports = { random: seededRandom(7), wallMs: () => 1_795_712_600_000 };

// As Postfix 3.7 prints it.
const LISTED =
  '{"queue_name": "deferred", "queue_id": "8A207222920", "arrival_time": 1795712541, "message_size": 358, "forced_expire": false, "sender": "b+abc@returns.test", "recipients": [{"address": "u@dead.test", "delay_reason": "connect to 127.0.0.1[127.0.0.1]:12529: Connection refused"}]}';

test("a listed message is read, and nothing else", () => {
  assert.deepEqual(parseListed(LISTED), {
    queue: "deferred",
    arrivedAtMs: 1_795_712_541_000,
    recipients: ["u@dead.test"],
  });
  for (const line of [
    "",
    "[]",
    "null",
    "{",
    '{"queue_name":"elsewhere","arrival_time":1}',
    '{"queue_name":"active"}',
  ]) {
    assert.equal(parseListed(line), undefined, line);
  }
});

test("the list becomes counts and a shape", async () => {
  const lines = [LISTED, LISTED.replace("deferred", "active").replace("dead.test", "live.test"), "garbage"];
  const reading = await readPostqueue("/unused", { ...ports, command: ["printf", "%s\\n", ...lines] });
  assert.deepEqual(reading, {
    kind: "read",
    isWhole: true,
    queue: 1,
    deferred: 1,
    hold: 0,
    maildrop: 0,
    oldest_age_s: 59,
    shape: [
      { destination: "live.test", queue: 1, deferred: 0, oldest_age_s: 59 },
      { destination: "dead.test", queue: 0, deferred: 1, oldest_age_s: 59 },
    ],
  });
});

test("what goes wrong is said in the program's own words", async () => {
  const failing = await readPostqueue("/unused", { ...ports, command: ["sh", "-c", "echo not you >&2; exit 75"] });
  assert.deepEqual(failing, { kind: "failed", problem: "not you" });
  const silent = await readPostqueue("/unused", { ...ports, command: ["sh", "-c", "exit 3"] });
  assert.deepEqual(silent, { kind: "failed", problem: "sh: it ended with 3" });
  const missing = await readPostqueue("/unused", { ...ports, command: ["/nowhere/postqueue"] });
  assert.ok(missing.kind === "failed" && missing.problem.includes("ENOENT"));
});
