// docs/guides/doctor.md has the catalogue for people. Its tables are made from it, and this test keeps both the same;
// `POSTLANE_WRITE_REFERENCE=1 npm test -- guide.test` writes them anew. And each code is produced by a test.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { FINDINGS } from "./finding-catalogue.ts";

const ROOT = path.resolve(import.meta.dirname, "../../..");
const PAGE = path.join(ROOT, "docs/guides/doctor.md");
const TABLE = /(<!-- findings -->\n)[\s\S]*?(<!-- end of findings -->)/;

test("docs/guides/doctor.md has the catalogue, each code with its level, meaning and remedy", () => {
  const page = readFileSync(PAGE, "utf8");
  assert.match(page, TABLE);
  const written = page.replace(TABLE, (_, begin: string, end: string) => `${begin}${tableOf()}\n${end}`);
  if (process.env["POSTLANE_WRITE_REFERENCE"] === "1") writeFileSync(PAGE, written);
  const hint = "write it with POSTLANE_WRITE_REFERENCE=1 npm test -- guide.test";
  assert.equal(readFileSync(PAGE, "utf8"), written, hint);
});

function tableOf(): string {
  const rows = Object.entries(FINDINGS).map(
    ([code, { level, means, remedy }]) => `| \`${code}\` | ${level} | ${cell(means)} | ${cell(remedy)} |`,
  );
  return ["| code | | what it means | what to do |", "|---|---|---|---|", ...rows].join("\n");
}

const cell = (text: string): string => text.replaceAll("|", String.raw`\|`);

/** Fewer, and the test looks at the wrong place. */
const TESTS_MIN = 5;

test("every code of the catalogue is produced by a test", () => {
  const tests = testTexts();
  assert.ok(tests.length >= TESTS_MIN, `only ${tests.length} test files were found`);
  const told = new Set(tests.flatMap((text) => [...text.matchAll(/"([a-z][a-z0-9_]+)"/g)].map(([, word]) => word!)));
  assert.deepEqual(
    Object.keys(FINDINGS).filter((code) => !told.has(code)),
    [],
  );
});

function testTexts(): readonly string[] {
  const of = (folder: string, pattern: RegExp): readonly string[] =>
    readdirSync(path.join(ROOT, folder))
      .filter((name) => pattern.test(name))
      .map((name) => readFileSync(path.join(ROOT, folder, name), "utf8"));
  return [...of("src/doctor", /\.test\.ts$/), ...of("test/integration", /^doctor-.*\.test\.ts$/)];
}
