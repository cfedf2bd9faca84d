import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageId } from "../mail/ids.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import { createClaimBook } from "./claim-book.ts";

const rowOf = (id: number): ClaimedRow => ({ message_id: id as MessageId }) as ClaimedRow;

test("a batch is finished with the last of its rows, and the next claim may forget it, once", () => {
  const book = createClaimBook();
  const rows = [rowOf(1), rowOf(2), rowOf(3)];
  const { batchId } = book.open();
  book.took(batchId, rows);
  book.end(rows.slice(0, 2));
  assert.deepEqual(book.open().finishedIds, []);
  book.end(rows.slice(2));
  assert.deepEqual(book.open().finishedIds, [batchId]);
  assert.deepEqual(book.open().finishedIds, []);
});

test("what a claim without an answer should have forgotten is forgotten by the next", () => {
  const book = createClaimBook();
  const { batchId } = book.open();
  const row = rowOf(1);
  book.took(batchId, [row]);
  book.end([row]);
  const lost = book.open();
  book.notAnswered(lost.finishedIds);
  assert.deepEqual(book.open().finishedIds, [batchId]);
});

test("a message that was claimed again keeps its new claim when the old one ends", () => {
  const book = createClaimBook();
  const [old, anew, other] = [rowOf(1), rowOf(1), rowOf(2)];
  book.took(book.open().batchId, [old, other]);
  book.took(book.open().batchId, [anew]);
  assert.deepEqual([old, anew, other].map(book.isLatest), [false, true, true]);
  assert.deepEqual(book.end([old, other]), [2]);
  assert.equal(book.isLatest(anew), true);
  assert.deepEqual(book.end([anew]), [1]);
});

test("a claim ends once", () => {
  const book = createClaimBook();
  const row = rowOf(1);
  book.took(book.open().batchId, [row]);
  book.end([row]);
  assert.throws(() => book.end([row]), /has ended already/);
});
