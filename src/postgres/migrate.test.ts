import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import { readMigrations } from "./migrate.ts";

async function folderWith(t: TestContext, files: Readonly<Record<string, string>>): Promise<URL> {
  const folder = await mkdtemp(join(tmpdir(), "postlane-migrations-"));
  t.after(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return pathToFileURL(`${folder}/`);
}

test("migrations are read in the order of their numbers, each with the checksum of its bytes", async (t) => {
  const folder = await folderWith(t, { "0002_b.sql": "select 2", "0001_a.sql": "", "notes.txt": "" });
  const migrations = await readMigrations(folder);
  assert.deepEqual(
    migrations.map(({ version, name, sql }) => [version, name, sql]),
    [
      [1, "a", ""],
      [2, "b", "select 2"],
    ],
  );
  // The SHA-256 of nothing.
  assert.equal(migrations[0]?.checksum, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
});

test("a gap, a number twice or a name out of pattern is a mistake of ours", async (t) => {
  for (const names of [["0001_a.sql", "0003_c.sql"], ["0001_a.sql", "0001_b.sql"], ["0001-a.sql"], ["1_a.sql"]]) {
    const folder = await folderWith(t, Object.fromEntries(names.map((name) => [name, ""])));
    await assert.rejects(readMigrations(folder), /out of order/);
  }
});

test("an empty folder is an incomplete build, not an empty schema", async (t) => {
  await assert.rejects(readMigrations(await folderWith(t, {})), /the build did not copy them/);
});
