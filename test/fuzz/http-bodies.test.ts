// What a client may send over HTTP: any octets are read or refused as a problem, any JSON within the limits is read as
// it is, any key in a header is taken or refused; and any email, whatever stands in its fields, is accepted or refused
// for itself by the real rules of entry, and never fails the others of its batch.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readIdempotencyKey } from "../../src/doors/http/idempotency-key.ts";
import { readJson } from "../../src/doors/http/json-body.ts";
import { Problem } from "../../src/doors/http/problem.ts";
import { startHttp, type Body } from "../integration/http-rig.ts";

const VALUES_MAX = 10_000;

function valueOrProblem<T>(act: () => T): T | Problem {
  try {
    return act();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

test("any octets are read as the parser reads them, or refused as a problem", () => {
  const piece = fc.constantFrom(
    ...Array.from('[]{},:"\\'),
    '\\"',
    "\\u0000",
    "\\ud800",
    "null",
    "1e999",
    '"a"',
    "\u0000",
    "é",
    " ",
  );
  const nearly = fc.array(piece, { maxLength: 30 }).map((pieces) => Buffer.from(pieces.join("")));
  const octets = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(nearly, octets), (bytes) => {
      const read = valueOrProblem(() => readJson(bytes, VALUES_MAX));
      if (read instanceof Problem || bytes.length === 0) return;
      assert.deepEqual(read, JSON.parse(bytes.toString("utf8").replace(/^\ufeff/, "")));
    }),
    { numRuns: 20_000 },
  );
});

test("any JSON within the limits is read as it was written", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const text = JSON.stringify(value);
      assert.deepEqual(readJson(Buffer.from(text), VALUES_MAX), JSON.parse(text));
    }),
    { numRuns: 5000 },
  );
});

test("any key that can be quoted comes out of its quotes, and anything else is a problem", () => {
  const printable = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) });
  fc.assert(
    fc.property(printable, (key) => {
      const quoted = `"${key.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
      const read = valueOrProblem(() => readIdempotencyKey([quoted]));
      if (key.length >= 1 && key.length <= 256) assert.equal(read, key);
      else assert.ok(read instanceof Problem);
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const read = valueOrProblem(() => readIdempotencyKey([text]));
      assert.ok(read instanceof Problem || /^[ -~]{1,256}$/.test(read!));
    }),
  );
});

const EMAILS = 3000;
const BATCH = 250;
/** Fewer of one kind, and the emails are not of both. */
const KIND_MIN = 300;

test("any email is accepted or refused for itself, and never fails its neighbours", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key();
  const seed = Date.now() % 1_000_000;
  const emails = fc.sample(anyEmail(), { numRuns: EMAILS, seed });
  const counts = { accepted: 0, refused: 0 };
  for (let at = 0; at < emails.length; at += BATCH) {
    const { status, body } = await rig.ask("POST", "/emails/batch", { key, body: emails.slice(at, at + BATCH) });
    assert.equal(status, 200, `seed ${seed}: ${JSON.stringify(body)}`);
    counts.accepted += body.data.length;
    for (const error of body.errors ?? []) {
      counts.refused++;
      const isRefusal = error.status >= 400 && error.status < 500;
      assert.ok(isRefusal, `seed ${seed}: ${JSON.stringify([emails[at + error.index], error])}`);
    }
  }
  assert.equal(counts.accepted + counts.refused, EMAILS);
  assert.ok(counts.accepted > KIND_MIN && counts.refused > KIND_MIN, JSON.stringify(counts));
  const { rows } = await rig.pool.query("SELECT body::text AS body FROM postlane.content");
  assert.equal(rows.length, counts.accepted);
  for (const { body } of rows) assertHeaderLines(JSON.parse(body));
});

/** What is right, but for one or two fields that may be anything. */
function anyEmail(): fc.Arbitrary<Record<string, unknown>> {
  const piece = fc.constantFrom(
    ...Array.from('ab \r\n\t:;,<>@"\\é😀'),
    "\r\nBcc: x@example.net",
    "\u0001",
    "\u007f",
    "\u2028",
  );
  const harmless = fc.string({ unit: fc.constantFrom(...Array.from("ab é😀<>,;:")), maxLength: 6 });
  const text = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(""));
  const rare = fc.constantFrom("\u0000", "\ud800", "x".repeat(3000));
  const any = fc.oneof(
    { weight: 20, arbitrary: text },
    { weight: 20, arbitrary: harmless },
    { weight: 1, arbitrary: rare },
  );
  const address = fc.oneof(fc.constant("Ann <ann@example.net>"), any);
  const anything = fc.oneof(any, fc.jsonValue({ maxDepth: 2 }));
  const fields: Record<string, fc.Arbitrary<unknown>> = {
    to: fc.oneof(address, fc.array(address, { maxLength: 3 })),
    text: anything,
    from: address,
    cc: address,
    reply_to: fc.oneof(address, fc.constant(null)),
    subject: any,
    html: any,
    headers: fc.dictionary(fc.oneof(fc.constantFrom("X-Order", "X-Postlane-Lane", "From"), any), any, { maxKeys: 2 }),
    tags: fc.array(fc.record({ name: any, value: any }), { maxLength: 1 }),
    scheduled_at: fc.oneof(fc.constant("2098-01-01T00:00:00Z"), any),
    expires_at: fc.oneof(fc.constant("2099-01-01T00:00:00Z"), any),
    lane: fc.oneof(fc.constantFrom("bulk", "transactional"), any),
    metadata: fc.oneof(fc.dictionary(any, anything, { maxKeys: 2 }), anything),
  };
  const one = fc.constantFrom(...Object.keys(fields)).chain((name) => fc.record({ [name]: fields[name]! }));
  return fc
    .array(one, { minLength: 1, maxLength: 2 })
    .map((given) => Object.assign({ ...GOOD }, ...given) as object as Record<string, unknown>);
}

const GOOD = { to: "ann@example.net", from: "shop@example.com", subject: "Hello", text: "Hello Ann" };

/** Nothing that becomes a line of a header holds the end of one. */
function assertHeaderLines({ from, to, cc, reply_to, subject, headers }: Body): void {
  const lines = [from, to, cc, reply_to, subject, Object.entries(headers ?? {})].flat(2);
  for (const line of lines) if (typeof line === "string") assert.ok(!hasControl(line), line);
}

/** Of ASCII: what lies behind it ends no line. */
function hasControl(line: string): boolean {
  return Array.from(line).some((character) => character < " " || character === "\u007f");
}
