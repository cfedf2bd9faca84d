import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageId } from "../mail/ids.ts";
import { returnPathOf, tokenOfReturnPath } from "../mail/return-token.ts";
import { createRelayMemory } from "./relay-memory.ts";

const CLIENT = "127.0.0.1:40000";
const DOMAIN = "returns.example";
const create = () => createRelayMemory((address) => tokenOfReturnPath(address, DOMAIN));
const attempt = { messageId: 4711 as MessageId, attempt: 3 };
const returnPath = returnPathOf(attempt, DOMAIN, () => new Uint8Array(32));

test("a session is what its lines say, from connect to disconnect", () => {
  const memory = create();
  memory.lineRead();
  memory.connected(CLIENT, 40_000, 1000);
  for (let n = 0; n < 10; n++) memory.received(CLIENT, 40_000, `Q${n}`);
  memory.cut(CLIENT, 40_000);
  memory.disconnected(CLIENT, 40_000, 5000);
  memory.received(CLIENT, 40_000, "of somebody else");
  assert.deepEqual(memory.sessionsOf(40_000), [
    {
      connectedAtMs: 1000,
      disconnectedAtMs: 5000,
      wasCut: true,
      queueIds: ["Q2", "Q3", "Q4", "Q5", "Q6", "Q7", "Q8", "Q9"],
      isWithoutGap: true,
      isSameRun: true,
    },
  ]);
  assert.deepEqual(memory.sessionsOf(40_001), []);
});

test("two clients with the same port are two sessions", () => {
  const memory = create();
  memory.connected("192.0.2.1:40000", 40_000, 1000);
  memory.connected(CLIENT, 40_000, 2000);
  memory.disconnected("192.0.2.1:40000", 40_000, 3000);
  const [theirs, ours] = memory.sessionsOf(40_000);
  assert.deepEqual([theirs?.disconnectedAtMs, ours?.disconnectedAtMs], [3000, undefined]);
});

test("a gap or a new start after its connect line marks a session, and none that comes later", () => {
  const memory = create();
  memory.lineRead();
  memory.connected(CLIENT, 40_000, 1000);
  memory.lineRead();
  memory.started();
  memory.linesMissed();
  memory.lineRead();
  memory.connected(CLIENT, 40_000, 1000);
  assert.deepEqual(
    memory.sessionsOf(40_000).map(({ isWithoutGap, isSameRun }) => [isWithoutGap, isSameRun]),
    [
      [false, false],
      [true, true],
    ],
  );
});

test("an attempt is known by its return path, in whatever case", () => {
  const memory = create();
  memory.activated("Q1", returnPath.toUpperCase());
  memory.activated("Q2", "b+nonsense@returns.example");
  memory.activated("Q3", "ann@example.com");
  assert.equal(memory.activeQueueIdOf(attempt), "Q1");
  assert.equal(memory.activeQueueIdOf({ ...attempt, attempt: 4 }), undefined);
  assert.equal(memory.senderOf("Q3"), "ann@example.com");
});

test("what was forgotten for lack of room counts as a gap", () => {
  const memory = create();
  memory.lineRead();
  memory.connected(CLIENT, 40_000, 1000);
  const isWithoutGap = (): boolean => memory.sessionsOf(40_000)[0]!.isWithoutGap;
  for (let n = 0; n < 100_000; n++) {
    memory.lineRead();
    memory.activated(
      `Q${n}`,
      returnPathOf({ messageId: n as MessageId, attempt: 1 }, DOMAIN, () => new Uint8Array(32)),
    );
  }
  assert.ok(isWithoutGap());
  for (let n = 100_000; n < 200_000; n++) {
    memory.lineRead();
    memory.activated(
      `Q${n}`,
      returnPathOf({ messageId: n as MessageId, attempt: 1 }, DOMAIN, () => new Uint8Array(32)),
    );
  }
  assert.ok(!isWithoutGap());
});
