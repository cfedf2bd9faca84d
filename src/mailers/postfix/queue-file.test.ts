import assert from "node:assert/strict";
import { test } from "node:test";
import { parseQueueFile } from "./queue-file.ts";

const record = (type: string, data: string): Buffer => {
  const octets = Buffer.from(data);
  const length = octets.length < 128 ? [octets.length] : [(octets.length & 0x7f) | 0x80, octets.length >> 7];
  return Buffer.concat([Buffer.from(type), Buffer.from(length), octets]);
};
const SIZE = record(
  "C",
  "            362             635               1               0             362               0",
);

test("sender, open recipients and arrival are read, up to the content", () => {
  const file = Buffer.concat([
    SIZE,
    record("T", "1795712421 229324"),
    record("A", `log_client_name=${"x".repeat(300)}`),
    record("S", "b+abc@returns.test"),
    record("O", "u@one.test"),
    record("D", "done@one.test"),
    record("R", "u@one.test"),
    record("M", ""),
    record("R", "content@evil.test"),
  ]);
  assert.deepEqual(parseQueueFile(file), {
    sender: "b+abc@returns.test",
    recipients: ["u@one.test"],
    arrivedAtMs: 1_795_712_421_229.324,
  });
});

test("a pointer is followed", () => {
  const before = Buffer.concat([SIZE, record("p", "            120")]);
  const gap = Buffer.alloc(120 - before.length, "x");
  const file = Buffer.concat([before, gap, record("S", ""), record("R", "a@b.test"), record("M", "")]);
  assert.deepEqual(parseQueueFile(file), { sender: "", recipients: ["a@b.test"] });
});

test("a pointer to itself ends", () => {
  const file = Buffer.concat([SIZE, record("p", String(SIZE.length))]);
  assert.deepEqual(parseQueueFile(file), { recipients: [] });
});

test("a file that is being written gives what it has", () => {
  const whole = Buffer.concat([SIZE, record("T", "1795712421 229324"), record("S", "a@b.test")]);
  assert.deepEqual(parseQueueFile(Buffer.alloc(0)), { recipients: [] });
  assert.deepEqual(parseQueueFile(whole.subarray(0, whole.length - 1)), {
    recipients: [],
    arrivedAtMs: 1_795_712_421_229.324,
  });
});
