// Log lines, queue files and queue lists that anybody could have made: nothing breaks the readers, nothing unfit for the
// database comes out, and hostile words in one field never become another one.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { boundedLines } from "../../src/mailers/bounded-lines.ts";
import { LOG_LINE_CHARS_MAX, parseLogLine } from "../../src/mailers/postfix/log-line.ts";
import { parseListed } from "../../src/mailers/postfix/postqueue.ts";
import { parseQueueFile } from "../../src/mailers/postfix/queue-file.ts";

const words = fc.constantFrom(
  "Nov 26 17:00:21 relay postfix/smtp[1]: ",
  "Nov 26 17:00:21 relay postfix/qmgr[1]: ",
  "Nov 26 17:00:21 relay postfix/smtpd[1]: ",
  "4jb2q91RN1zJrh9: ",
  "to=<",
  "from=<",
  ">, ",
  "relay=none, ",
  "delay=0, delays=0/0/0/0, ",
  "dsn=2.0.0, ",
  "status=sent (",
  ">, size=1, nrcpt=1 (queue active)",
  "connect from a[1.2.3.4]:5",
  "lost connection after ",
  '"',
  "\\",
  "(",
  "\0",
  "\u{1f600}",
);
const hostile = fc.array(fc.oneof(words, fc.string({ unit: "binary", maxLength: 20 })), { maxLength: 40 });
const UNFIT = /\p{Cc}|\p{Surrogate}/u;

function assertFit(value: unknown): void {
  if (typeof value === "string") assert.ok(!UNFIT.test(value) && value.length <= LOG_LINE_CHARS_MAX, value);
  else if (typeof value === "object" && value !== null) Object.values(value).forEach(assertFit);
}

test("any line is read or is not, and what is read is fit to be kept", () => {
  fc.assert(
    fc.property(hostile, (pieces) => assertFit(parseLogLine(pieces.join("")))),
    { numRuns: 3000 },
  );
});

test("whatever a reply says, status and recipient are those of the line", () => {
  const reply = fc.array(fc.oneof(words, fc.string({ maxLength: 20 })), { maxLength: 20 });
  fc.assert(
    fc.property(reply, (pieces) => {
      const text = pieces.join("").replaceAll("\n", " ");
      const line = `Nov 26 17:00:21 relay postfix/smtp[1]: 4jb2q91RN1zJrh9: to=<u@ok.test>, relay=none, delay=1, delays=1/0/0/0, dsn=4.0.0, status=deferred (${text})`;
      const read = parseLogLine(line);
      assert.ok(read?.kind === "delivery");
      assert.equal(read.status, "deferred");
      assert.equal(read.recipient, "u@ok.test");
    }),
    { numRuns: 1000 },
  );
});

test("a quoted recipient, whatever it holds, is the recipient", () => {
  const inside = fc.array(fc.oneof(words, fc.string({ unit: "grapheme-ascii", maxLength: 10 })), { maxLength: 8 });
  fc.assert(
    fc.property(inside, (pieces) => {
      const local = pieces
        .join("")
        .replaceAll(/[^\x20-\x7e]/g, "")
        .replaceAll(/["\\]/g, String.raw`\$&`);
      const address = `"${local}"@x.test`;
      const line = `Nov 26 17:00:21 relay postfix/smtp[1]: 4jb2q91RN1zJrh9: to=<${address}>, relay=none, delay=1, delays=1/0/0/0, dsn=4.0.0, status=deferred (x)`;
      const read = parseLogLine(line);
      assert.ok(read?.kind === "delivery");
      assert.equal(read.recipient, address);
      assert.equal(read.status, "deferred");
    }),
    { numRuns: 1000 },
  );
});

test("reading a line takes time in proportion to its length", () => {
  const heads = ["smtp", "qmgr", "smtpd", "bounce", "master"].map(
    (program) => `Nov 26 17:00:21 relay postfix/${program}[1]: `,
  );
  const tails = ["4jb2q91RN1zJrh9: to=<", "4jb2q91RN1zJrh9: from=<", "lost connection after ", "connect from ", "Nov "];
  const fillers = ["a", " ", "<", ">, relay=", ", ", "/", '"', "\\", ">, size=1", " from "];
  const startedAt = process.cpuUsage();
  for (const line of heads.flatMap((head) =>
    tails.flatMap((tail) => fillers.map((filler) => head + tail + filler.repeat(100_000))),
  )) {
    parseLogLine(line);
  }
  const { user } = process.cpuUsage(startedAt);
  // 275 lines of a megabyte take some 0.1 s; a search that goes back would take hours.
  assert.ok(user < 5_000_000, `${user} µs`);
});

test("any bytes are a queue file or are none", () => {
  const record = fc
    .tuple(fc.constantFrom("C", "T", "S", "R", "D", "p", "A", "M", "X"), fc.uint8Array({ maxLength: 40 }))
    .map(([type, data]) => Buffer.concat([Buffer.from(type), Buffer.from([data.length]), data]));
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 500 }).map((octets) => Buffer.from(octets)),
    fc.array(record, { maxLength: 30 }).map((records) => Buffer.concat(records)),
  );
  fc.assert(
    fc.property(bytes, (head) => assertFit(parseQueueFile(head))),
    { numRuns: 2000 },
  );
});

test("any line of a queue list is a message or is none", () => {
  const line = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({
        queue_name: fc.oneof(fc.constant("active"), fc.anything()),
        arrival_time: fc.oneof(fc.integer(), fc.anything()),
        recipients: fc.oneof(fc.array(fc.record({ address: fc.string({ unit: "binary" }) })), fc.anything()),
      })
      .map((value) => JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? 0 : inner))),
  );
  fc.assert(
    fc.property(line, (text) => assertFit(parseListed(text))),
    { numRuns: 2000 },
  );
});

test("lines are the same in any pieces, and bounded", async () => {
  const source = fc.array(fc.string({ unit: "grapheme-ascii", maxLength: 30 }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(source, fc.array(fc.nat(), { maxLength: 10 }), async (texts, cuts) => {
      const whole = texts.join("\n");
      const at = [
        0,
        ...cuts.map((cut) => cut % (whole.length + 1)).toSorted((one, other) => one - other),
        whole.length,
      ];
      const pieces = at.slice(1).map((end, index) => whole.slice(at[index], end));
      const lines: string[] = [];
      for await (const line of boundedLines(toAsync(pieces), 10)) lines.push(line);
      const expected = whole.split("\n").map((line) => line.slice(0, 10));
      if (expected.at(-1) === "") expected.pop();
      assert.deepEqual(lines, expected);
    }),
  );
});

async function* toAsync(pieces: readonly string[]): AsyncGenerator<string> {
  yield* pieces;
}
