import assert from "node:assert/strict";
import { test } from "node:test";
import type { Content } from "../mail/envelope.ts";
import type { MessageId } from "../mail/ids.ts";
import type { Clock } from "../platform/clock.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import { createSigningRows, SIGNED_MS_MAX, type SigningRows } from "./signing-rows.ts";

const CONTENT: Content = { text: "X: y\r\n\r\n", isAscii: true };
const always = (): boolean => true;

interface World {
  readonly signing: SigningRows;
  readonly composed: MessageId[];
  readonly told: () => number;
  sign(row: ClaimedRow, how?: "fails"): Promise<void>;
  pass(ms: number): void;
}

function world({ mayGather = false, octets = 100 } = {}): World {
  let nowMs = 0;
  let told = 0;
  const composed: MessageId[] = [];
  const signatures = new Map<ClaimedRow, { resolve(content: Content): void; reject(error: Error): void }>();
  const timers: { readonly atMs: number; readonly fire: () => void; isCanceled: boolean }[] = [];
  const clock: Clock = {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    after(ms, fire) {
      const timer = { atMs: nowMs + ms, fire, isCanceled: false };
      timers.push(timer);
      return { cancel: () => void (timer.isCanceled = true) };
    },
    soon: (fire) => fire(),
  };
  const signing = createSigningRows({
    clock,
    compose(row) {
      composed.push(row.message_id);
      const content = new Promise<Content>((resolve, reject) => signatures.set(row, { resolve, reject }));
      return { envelope: { sender: "a@x.example", recipient: row.recipient }, content, octets };
    },
    signed: () => void told++,
    mayGather: () => mayGather,
  });
  return {
    signing,
    composed,
    told: () => told,
    async sign(row, how) {
      if (how === "fails") signatures.get(row)!.reject(new Error("no key"));
      else signatures.get(row)!.resolve(CONTENT);
      await new Promise((resolve) => void setImmediate(resolve));
    },
    pass(ms) {
      nowMs += ms;
      for (const timer of timers.splice(0)) if (!timer.isCanceled && timer.atMs <= nowMs) timer.fire();
    },
  };
}

const rowTo = (id: number, destination = "one.example"): ClaimedRow =>
  ({ message_id: id, destination, recipient: `ann@${destination}` }) as unknown as ClaimedRow;

test("a row is takeable when its signature is there, and then once", async () => {
  const { signing, sign, told } = world();
  const row = rowTo(1);
  assert.ok(signing.isTakeable(row), "a row that is not signed is anybody's");
  signing.add(row, "main");
  assert.ok(!signing.isTakeable(row));
  signing.startAhead("main", 10, always);
  assert.deepEqual([signing.isTakeable(row), signing.unsigned("main"), told()], [false, 1, 0]);
  await sign(row);
  assert.deepEqual([signing.isTakeable(row), signing.unsigned("main"), told()], [true, 0, 1]);
  assert.equal(signing.take(row)?.kind, "signed");
  assert.equal(signing.take(row), undefined);
  assert.equal(signing.size, 0);
});

test("no more are begun than may be, in rows and in octets, and each way has its own places", async () => {
  const few = world();
  const rows = [1, 2, 3, 4].map((id) => rowTo(id));
  for (const row of rows) few.signing.add(row, "main");
  few.signing.add(rowTo(5), "retry");
  few.signing.startAhead("main", 2, always);
  assert.deepEqual(few.composed, [1, 2]);
  few.signing.startAhead("retry", 2, always);
  assert.deepEqual(few.composed, [1, 2, 5]);
  await few.sign(rows[0]!);
  few.signing.startAhead("main", 2, always);
  assert.deepEqual(few.composed, [1, 2, 5], "what is signed still has its place");
  few.signing.take(rows[0]!);
  few.signing.startAhead("main", 2, always);
  assert.deepEqual(few.composed, [1, 2, 5, 3]);

  const large = world({ octets: 20 * 1024 * 1024 });
  for (const row of rows) large.signing.add(row, "main");
  large.signing.startAhead("main", 10, always);
  assert.deepEqual(large.composed, [1], "one mail may be larger than all may be together");
});

test("it is asked with what is begun of the destination, and in which half of the places it is", () => {
  const { signing } = world();
  for (const id of [1, 2, 3]) signing.add(rowTo(id), "main");
  signing.add(rowTo(4, "two.example"), "main");
  const asked: string[] = [];
  signing.startAhead("main", 4, ({ message_id }, begunThere, isFirstHalf) => {
    asked.push(`${message_id} ${begunThere} ${isFirstHalf}`);
    return message_id !== 3;
  });
  assert.deepEqual(asked, ["1 0 true", "2 1 true", "3 2 false", "4 0 false"]);
});

test("what waited too long is composed anew, before those that never had their turn", async () => {
  const { signing, sign, pass, composed } = world();
  const [old, next] = [rowTo(1), rowTo(2)];
  signing.add(old, "main");
  signing.add(next, "main");
  signing.startAhead("main", 1, always);
  await sign(old);
  pass(SIGNED_MS_MAX);
  assert.ok(signing.isTakeable(old));
  pass(1);
  assert.ok(!signing.isTakeable(old));
  signing.startAhead("main", 1, always);
  assert.deepEqual(composed, [1, 1]);
  await sign(old);
  assert.ok(signing.isTakeable(old));
});

test("a signature that comes for a row that was given back is ignored", async () => {
  const { signing, sign, told } = world();
  const row = rowTo(1);
  signing.add(row, "main");
  signing.startAhead("main", 1, always);
  signing.forget([row]);
  assert.deepEqual([signing.size, signing.unsigned("main")], [0, 0]);
  await sign(row);
  assert.deepEqual([told(), signing.size], [0, 0]);
  signing.add(row, "main");
  signing.startAhead("main", 1, always);
  assert.equal(signing.unsigned("main"), 1);
});

test("a signature that fails is taken as a failure", async () => {
  const { signing, sign } = world();
  const row = rowTo(1);
  signing.add(row, "main");
  signing.startAhead("main", 1, always);
  await sign(row, "fails");
  assert.ok(signing.isTakeable(row));
  assert.equal(signing.take(row)?.kind, "failed");
  assert.equal(signing.unsigned("main"), 0);
});

test("where they may gather, signatures are told of together: some, the last, or after a while", async () => {
  const { signing, sign, told, pass } = world({ mayGather: true });
  const rows = Array.from({ length: 20 }, (_, id) => rowTo(id));
  for (const row of rows) signing.add(row, "main");
  signing.startAhead("main", 20, always);
  for (const row of rows.slice(0, 15)) await sign(row);
  assert.equal(told(), 0);
  await sign(rows[15]!);
  assert.equal(told(), 1);
  await sign(rows[16]!);
  assert.equal(told(), 1);
  pass(5);
  assert.equal(told(), 2);
  for (const row of rows.slice(17)) await sign(row);
  assert.equal(told(), 3);
});
