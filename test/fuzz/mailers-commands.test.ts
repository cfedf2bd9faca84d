// What a gauge's command prints and what lies in Exim's spool, made by anybody: a reading that is fit to be kept, or a
// refusal in words.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseHeaderFile } from "../../src/mailers/exim/header-file.ts";
import { parseCommandReading } from "../../src/mailers/command-gauge.ts";
import { troublesIn } from "../../src/mailers/postfix/log-troubles.ts";
import { parseSettings } from "../../src/mailers/postfix/read-instance.ts";

const UNFIT = /\p{Cc}|\p{Surrogate}/u;

function assertFit(value: unknown): void {
  if (typeof value === "string") assert.ok(!UNFIT.test(value), value);
  else if (typeof value === "number") assert.ok(Number.isFinite(value) && value >= 0);
  else if (typeof value === "object" && value !== null) Object.values(value).forEach(assertFit);
}

test("anything that a command prints is a reading or is refused in words", () => {
  const key = fc.oneof(fc.constantFrom("queue", "deferred", "oldest_age_s", "shape", "problems"), fc.string());
  const value = fc.oneof(
    fc.nat(),
    fc.double(),
    fc.jsonValue(),
    fc.array(fc.string({ unit: "binary" }), { maxLength: 3 }),
  );
  const printed = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.dictionary(key, value, { maxKeys: 5 }).map((object) => JSON.stringify({ queue: 1, ...object })),
  );
  fc.assert(
    fc.property(printed, (text) => {
      const answer = parseCommandReading(text);
      assertFit(answer);
      if (answer.kind === "failed") assert.ok(answer.problem.length > 0 && answer.problem.length < 1000);
    }),
    { numRuns: 3000 },
  );
});

test("any text is a header file of Exim or is none", () => {
  const line = fc.oneof(
    fc.constantFrom(
      "1xWdDB-0001Y3-0O-H",
      "1795713885 0",
      "-deliver_firsttime",
      "-frozen 1",
      "XX",
      "YN a@b.test",
      "2",
      "",
    ),
    fc.string({ unit: "binary", maxLength: 30 }),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 20 }), (lines) => {
      const head = ["1xWdDB-0001Y3-0O-H", "u 1 1", "<>", "1795713885 0", ...lines].join("\n");
      assertFit(parseHeaderFile(head));
      assertFit(parseHeaderFile(lines.join("\n")));
    }),
    { numRuns: 2000 },
  );
});

test("any output of postconf and any log gives words that are fit to be shown", () => {
  const text = fc
    .array(fc.oneof(fc.constantFrom("a = b", "\n", "warning: ", "fatal: "), fc.string({ unit: "binary" })))
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(text, (output) => {
      assertFit(parseSettings(output));
      assertFit(troublesIn(output));
    }),
    { numRuns: 1000 },
  );
});
