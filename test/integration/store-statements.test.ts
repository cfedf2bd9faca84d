// Every statement of every store is prepared on a migrated database: a column that was renamed, or a typing slip in SQL
// that no other test happens to run, is found here.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import type { Statement } from "../../src/postgres/statement.ts";
import { testDatabase } from "../rig/postgres.ts";

/** Fewer, and the test looks at the wrong place. */
const STATEMENTS_MIN = 20;

test("every exported statement of a store can be prepared, and their names are their own", async (t) => {
  const { pool } = await testDatabase(t);
  const statements = await allStatements();
  assert.ok(statements.length >= STATEMENTS_MIN, `only ${statements.length} statements were found`);
  const names = statements.map(({ statement }) => statement.name);
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
    "a name is used twice",
  );
  for (const { file, statement } of statements) {
    await assert.doesNotReject(
      pool.query(`PREPARE "${statement.name}" AS ${statement.text}`),
      `${file}: ${statement.name}`,
    );
  }
});

test("a planted mistake is seen", async (t) => {
  const { pool } = await testDatabase(t);
  await assert.rejects(pool.query("PREPARE planted AS SELECT recipiant FROM postlane.message"), { code: "42703" });
});

async function allStatements(): Promise<readonly { readonly file: string; readonly statement: Statement<unknown> }[]> {
  const source = path.resolve(import.meta.dirname, "../../src");
  const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith("-store.js"));
  const found = [];
  for (const file of files.toSorted()) {
    const store = (await import(pathToFileURL(path.join(source, file)).href)) as Readonly<Record<string, unknown>>;
    for (const value of Object.values(store)) if (isStatement(value)) found.push({ file, statement: value });
  }
  return found;
}

function isStatement(value: unknown): value is Statement<unknown> {
  return typeof value === "object" && value !== null && "name" in value && "text" in value;
}
