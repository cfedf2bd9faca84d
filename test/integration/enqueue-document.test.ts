// docs/reference/sql.md is the contract: its examples run, and its tables name every limit and every SQLSTATE that the
// rules of entry have, and no other.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import type { Pool } from "pg";
import { projectRoot } from "../tidy/source-tree.ts";
import { testDatabase } from "../rig/postgres.ts";

const page = readFileSync(path.join(projectRoot, "docs/reference/sql.md"), "utf8");
const rules = ["0002_the_rules_of_entry.sql", "0007_templates.sql"]
  .map((file) => readFileSync(path.join(projectRoot, "src/postgres/migrations", file), "utf8"))
  .join("\n");

test("every example in SQL runs, and those that are refused are refused as they say", async (t) => {
  const { pool } = await testDatabase(t);
  const blocks = [...page.matchAll(/^```sql\n([\s\S]*?)^```/gm)].map(([, block]) => block!);
  assert.ok(blocks.length >= 6, `only ${blocks.length} examples`);
  const client = await pool.connect();
  await client.query("CREATE ROLE shop");
  await client.query("CREATE TABLE public.orders (id integer, address text)");
  await client.query("SET search_path = public");
  for (const block of blocks) {
    const [, code, message] = /^-- SQLSTATE (\w+): (.*)$/m.exec(block) ?? [];
    if (code === undefined) await client.query(block);
    else await assert.rejects(client.query(block), { code, message: message! });
  }
  client.release(true);
  const { rows } = await pool.query("SELECT count(*) AS n FROM postlane.message");
  assert.equal(rows[0].n, 7, "one each, and the key twice is one");
  await pool.query("DROP OWNED BY shop");
  await pool.query("DROP ROLE shop");
});

test("every limit is on the page with its figure", () => {
  const inCode = Array.from(rules.matchAll(/(\w+_max)\s+CONSTANT integer := (\d+)/g), ([, name, figure]) => [
    name,
    figure,
  ]);
  const onPage = Array.from(page.matchAll(/^\| `(\w+_max)` \| ([\d,]+) \|/gm), ([, name, figure]) => [
    name,
    figure!.replaceAll(",", ""),
  ]);
  assert.ok(inCode.length >= 10, `only ${inCode.length} limits were found`);
  assert.deepEqual(new Set(onPage.map(String)), new Set(inCode.map(String)));
});

test("every SQLSTATE is on the page", () => {
  const inCode = new Set(Array.from(rules.matchAll(/ERRCODE = '(PL\d\d\d)'/g), ([, code]) => code));
  const onPage = Array.from(page.matchAll(/^\| `(PL\d\d\d)` \|/gm), ([, code]) => code);
  assert.ok(inCode.size >= 6);
  assert.deepEqual(new Set(onPage), inCode);
});

test("every field is on the page, and every field of an attachment", async (t) => {
  const { pool } = await testDatabase(t);
  const [fields, attachments] = page.split("### Attachments");
  const known = await knownFields(pool, '{"no": 1}', /^Known: (.*)\.$/);
  assert.ok(known.length >= 15);
  assert.deepEqual(fieldsOn(fields!).toSorted(), known.toSorted());
  const knownOfOne = await knownFields(
    pool,
    '{"to": "a@example.com", "text": "", "attachments": [{"no": 1}]}',
    /known: (.*)$/,
  );
  assert.ok(knownOfOne.length >= 4);
  assert.deepEqual(fieldsOn(attachments!.split("\n## ")[0]!).toSorted(), knownOfOne.toSorted());
});

async function knownFields(pool: Pool, email: string, pattern: RegExp): Promise<readonly string[]> {
  const error: { hint?: string; message: string } = await pool.query("SELECT postlane.enqueue($1)", [email]).then(
    () => assert.fail("it was not refused"),
    (thrown: { hint?: string; message: string }) => thrown,
  );
  const list = pattern.exec(error.hint ?? "") ?? pattern.exec(error.message);
  return list?.[1]?.split(", ") ?? [];
}

function fieldsOn(part: string): readonly string[] {
  return Array.from(part.matchAll(/^\| ((?:`\w+`(?:, )?)+) \| (?:needed|one of them needed|) ?\|/gm), ([, names]) =>
    names!.replaceAll("`", "").split(", "),
  ).flat();
}
