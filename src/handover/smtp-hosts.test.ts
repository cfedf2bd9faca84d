import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../platform/random.ts";
import {
  allowProbes,
  createHostStates,
  HOST_BACKOFF_MS_MAX,
  nextRetryAtMs,
  noteHostAnswered,
  noteHostFailed,
  pickHost,
} from "./smtp-hosts.ts";

const hosts = (...weights: readonly number[]) =>
  createHostStates(weights.map((weight, at) => ({ host: `h${at}`, port: 25, weight })));

test("connections are shared by weight", () => {
  const states = hosts(3, 1);
  const random = seededRandom(7);
  for (let count = 0; count < 20; count++) pickHost(states, 0, random)!.connectionCount++;
  assert.deepEqual(
    states.map(({ connectionCount }) => connectionCount),
    [15, 5],
  );
});

test("single connections are shared by weight too, by chance", () => {
  const states = hosts(3, 1);
  const random = seededRandom(7);
  const picks = Array.from({ length: 1000 }, () => pickHost(states, 0, random)!.host.host);
  const first = picks.filter((host) => host === "h0").length;
  assert.ok(first > 700 && first < 800, `${first} of 1000`);
});

test("a host that failed is set aside twice as long each time, and probed by one connection", () => {
  const [state] = hosts(1);
  const random = seededRandom(1);
  let nowMs = 0;
  const waits: number[] = [];
  for (let failure = 0; failure < 8; failure++) {
    noteHostFailed(state!, nowMs);
    assert.equal(pickHost([state!], nowMs, random), undefined);
    waits.push(state!.retryAtMs - nowMs);
    assert.equal(nextRetryAtMs([state!], nowMs), state!.retryAtMs);
    nowMs = state!.retryAtMs;
    assert.equal(pickHost([state!], nowMs, random), state);
  }
  assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16_000, 32_000, HOST_BACKOFF_MS_MAX, HOST_BACKOFF_MS_MAX]);
  state!.connectingCount = 1;
  assert.equal(pickHost([state!], nowMs, random), undefined);
  noteHostAnswered(state!);
  assert.equal(pickHost([state!], nowMs, random), state);
});

test("connections that fail together are one failure", () => {
  const [state] = hosts(1);
  for (let count = 0; count < 20; count++) noteHostFailed(state!, 5);
  assert.equal(state!.failureCount, 1);
});

test("whoever governs may have a probe ahead of its time, but not within the same second", () => {
  const [state] = hosts(1);
  for (const nowMs of [0, 1000, 3000, 7000]) noteHostFailed(state!, nowMs);
  allowProbes([state!]);
  assert.equal(pickHost([state!], 7999, seededRandom(1)), undefined);
  assert.equal(pickHost([state!], 8000, seededRandom(1)), state);
});
