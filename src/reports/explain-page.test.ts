// docs/reference/reasons.md has the catalogue of src/mail/reasons.ts for people. Its table is made from the catalogue, and
// this test keeps both the same; `POSTLANE_WRITE_REFERENCE=1 npm test -- explain-page` writes it anew.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { REASON_CODES, reasonEntry, tellReason, type ReasonCode } from "../mail/reasons.ts";

const PAGE = path.resolve(import.meta.dirname, "../../../docs/reference/reasons.md");
const HEAD = "| code | meaning | evidence | what lifts it |\n|---|---|---|---|\n";

test("docs/reference/reasons.md has the catalogue, each code with its meaning, evidence and remedy", () => {
  const page = readFileSync(PAGE, "utf8");
  const [before, after] = aroundTable(page);
  const wanted = `${before}${HEAD}${REASON_CODES.map(rowOf).join("")}${after}`;
  if (process.env["POSTLANE_WRITE_REFERENCE"] === "1") writeFileSync(PAGE, wanted);
  assert.equal(page, wanted, "write it with POSTLANE_WRITE_REFERENCE=1 npm test -- explain-page");
});

test("every sentence can be told with the evidence that is always there, and with all of it", () => {
  for (const code of REASON_CODES) {
    const { evidence, optional = [] } = reasonEntry(code);
    for (const names of [evidence, [...evidence, ...optional]]) {
      const sentence = tellReason({ code, evidence: Object.fromEntries(names.map((name) => [name, 7])) });
      assert.doesNotMatch(sentence, /undefined|NaN|null/, code);
      assert.notEqual(sentence, "", code);
    }
  }
});

/** The table ends with the first empty line. */
function aroundTable(page: string): readonly [string, string] {
  const start = page.indexOf(HEAD);
  assert.ok(start > 0, "there is no table of reasons");
  return [page.slice(0, start), page.slice(page.indexOf("\n\n", start) + 1)];
}

function rowOf(code: ReasonCode): string {
  const { meaning, evidence, optional = [], remedy } = reasonEntry(code);
  const fields = [...evidence.map((name) => `\`${name}\``), ...optional.map((name) => `\`${name}\`?`)].join(", ");
  return `| \`${code}\` | ${meaning} | ${fields} | ${remedy} |\n`;
}
