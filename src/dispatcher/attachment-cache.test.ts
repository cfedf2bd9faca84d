import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClaimedRow } from "../queue/queue-store.ts";
import { createAttachmentCache } from "./attachment-cache.ts";
import { ownNeeds } from "./attachment-needs.ts";

const SIZE = 570;
const ENCODED = 780;

/** Each row an object of its own, as a claim makes them. */
function row(contentId: number, bytes = SIZE): ClaimedRow {
  return {
    content_id: contentId,
    content: { attachments: [{ filename: "a", bytes }] },
    raw: null,
  } as unknown as ClaimedRow;
}

function cacheOf(rows: number) {
  const reads: number[] = [];
  const read = async (id: number) => {
    reads.push(id);
    return [Buffer.alloc(SIZE, id)];
  };
  return { cache: createAttachmentCache(read, ownNeeds, rows * ENCODED), reads };
}

test("what fifty rows need is read and encoded once", async () => {
  const { cache, reads } = cacheOf(2);
  const rows = Array.from({ length: 50 }, () => row(1));
  await cache.keep(rows.slice(0, 25));
  cache.release(rows.slice(0, 25));
  await cache.keep(rows.slice(25));
  assert.deepEqual(reads, [1]);
  const [first] = cache.of(rows[25]!)!;
  assert.ok(rows.slice(25).every((each) => cache.of(each)![0] === first));
  assert.equal(Buffer.from(first!.base64, "base64").length, SIZE);
});

test("what a row needs is kept until the row is released, whatever else comes", async () => {
  const { cache, reads } = cacheOf(2);
  const [one, two, three] = [row(1), row(2), row(3)];
  await cache.keep([one, two, three]);
  assert.deepEqual(
    [one, two, three].map((each) => cache.of(each) !== undefined),
    [true, true, false],
  );
  cache.release([one]);
  assert.equal(cache.of(one), undefined);
  await cache.keep([three]);
  assert.ok(cache.of(two) !== undefined && cache.of(three) !== undefined);
  assert.deepEqual(reads, [1, 2, 3]);
});

test("of what nobody needs, the longest unused goes first", async () => {
  const { cache, reads } = cacheOf(2);
  const rows = [row(1), row(2)];
  await cache.keep(rows);
  cache.release(rows);
  const again = row(1);
  await cache.keep([again]);
  cache.release([again]);
  await cache.keep([row(3)]);
  await cache.keep([row(1)]);
  assert.deepEqual(reads, [1, 2, 3], "the first one was still here");
  await cache.keep([row(2)]);
  assert.deepEqual(reads, [1, 2, 3], "two that are needed fill it");
});

test("what is larger than all of the cache is kept alone", async () => {
  const { cache } = cacheOf(1);
  const small = row(1);
  const large = row(2, 100 * SIZE);
  await cache.keep([small, large]);
  assert.equal(cache.of(large), undefined);
  cache.release([small]);
  await cache.keep([large]);
  assert.ok(cache.of(large) !== undefined);
});

test("a row without attachments reads nothing; a row that is released twice, or never kept, does no harm", async () => {
  const { cache, reads } = cacheOf(1);
  const plain = { content_id: 1, content: { text: "x" }, raw: null } as unknown as ClaimedRow;
  const merged = { content_id: 2, content: null, raw: null } as unknown as ClaimedRow;
  const whole = {
    content_id: 3,
    content: { attachments: [{ bytes: 1 }] },
    raw: Buffer.alloc(1),
  } as unknown as ClaimedRow;
  await cache.keep([plain, merged, whole]);
  cache.release([plain, merged, whole, row(9)]);
  assert.deepEqual(reads, []);
});

test("a read that fails leaves nothing behind, and the next one is tried", async () => {
  let isBroken = true;
  const cache = createAttachmentCache(
    () => {
      if (isBroken) return Promise.reject(new Error("the database went away"));
      return Promise.resolve([Buffer.alloc(SIZE)]);
    },
    ownNeeds,
    ENCODED,
  );
  const one = row(1);
  await assert.rejects(cache.keep([one]), /went away/);
  cache.release([one]);
  isBroken = false;
  await cache.keep([one]);
  assert.ok(cache.of(one) !== undefined);
});

test("what a row needs of its template and of its own is there together, or not at all", async () => {
  const reads: number[] = [];
  const needsOf = ({ content_id }: ClaimedRow) =>
    [100, content_id].map((contentId) => ({ contentId, attachments: [{ filename: "a", bytes: SIZE }] }));
  const read = async (id: number) => {
    reads.push(id);
    return [Buffer.alloc(SIZE, id)];
  };
  const cache = createAttachmentCache(read, needsOf, 2 * ENCODED);
  const [one, two] = [row(1), row(2)];
  await cache.keep([one, two]);
  assert.deepEqual(
    cache.of(one)!.map(({ base64 }) => Buffer.from(base64, "base64")[0]),
    [100, 1],
  );
  assert.equal(cache.of(two), undefined);
  cache.release([one]);
  await cache.keep([two]);
  assert.deepEqual(cache.of(two)!.length, 2);
  assert.deepEqual(reads, [100, 1, 2], "the template's are read once");
});

test("a row whose two contents are larger than all of the cache is kept when it is alone", async () => {
  const needsOf = ({ content_id }: ClaimedRow) =>
    [100, content_id].map((contentId) => ({ contentId, attachments: [{ filename: "a", bytes: SIZE }] }));
  const cache = createAttachmentCache(async () => [Buffer.alloc(SIZE)], needsOf, ENCODED);
  const [one, two] = [row(1), row(2)];
  await cache.keep([one, two]);
  assert.ok(cache.of(one) !== undefined && cache.of(two) === undefined);
  cache.release([one]);
  await cache.keep([two]);
  assert.ok(cache.of(two) !== undefined);
});
