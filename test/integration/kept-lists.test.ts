// Kept lists, and what an import makes of cells: typed data, rejected rows with their reasons, doubles of every kind.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { importKeptList, type KeptListImported, type KeptListWish } from "../../src/campaigns/keep-list.ts";
import { findList, listImports } from "../../src/campaigns/list-store.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";

interface Rig extends TestDatabase {
  write(name: string, content: string): string;
  keep(file: string, wish?: Partial<KeptListWish>): ReturnType<typeof importKeptList>;
}

async function listRig(t: TestContext): Promise<Rig> {
  const database = await testDatabase(t);
  const folder = path.join(database.dataDir, "lists");
  mkdirSync(folder);
  return {
    ...database,
    write(name, content) {
      writeFileSync(path.join(folder, name), content);
      return path.join(folder, name);
    },
    keep: (file, wish = {}) =>
      importKeptList(database.pool, { name: "members", file, onRejected: async () => {}, onProgress() {}, ...wish }),
  };
}

function importedOf(answer: Awaited<ReturnType<typeof importKeptList>>): KeptListImported {
  assert.ok(answer.kind === "imported", JSON.stringify(answer));
  return answer;
}

function countsOf(answer: Awaited<ReturnType<typeof importKeptList>>) {
  const { rows, accepted, doubled, rejected } = importedOf(answer);
  return { rows, accepted, doubled, rejected };
}

test("a kept list that is imported again renews the data of who is on it, and gets the new columns", async (t) => {
  const rig = await listRig(t);
  const first = await rig.keep(rig.write("a.csv", "email,name,points\nann@x.example,Ann,1\nbob@x.example,Bob,2\n"), {
    types: { points: "number" },
  });
  assert.deepEqual(
    [importedOf(first).isNew, countsOf(first)],
    [true, { rows: 2, accepted: 2, doubled: 0, rejected: 0 }],
  );
  const second = await rig.keep(rig.write("b.csv", "points,town,email\n7,Rome,ANN@x.example\n8,Oslo,cat@x.example\n"));
  assert.deepEqual(
    [importedOf(second).isNew, countsOf(second)],
    [false, { rows: 2, accepted: 1, doubled: 1, rejected: 0 }],
  );
  const list = (await findList(rig.pool, "members"))!;
  assert.deepEqual(
    list.columns.map(({ name, type }) => [name, type]),
    [
      ["email", "text"],
      ["name", "text"],
      ["points", "number"],
      ["town", "text"],
    ],
  );
  const { rows } = await rig.pool.query("SELECT address, data::json FROM postlane.recipient ORDER BY n");
  assert.deepEqual(rows, [
    { address: "ann@x.example", data: { points: 7, town: "Rome", email: "ANN@x.example" } },
    { address: "bob@x.example", data: { email: "bob@x.example", name: "Bob", points: 2 } },
    { address: "cat@x.example", data: { points: 8, town: "Oslo", email: "cat@x.example" } },
  ]);
  const imports = await listImports(rig.pool, list.id, 10);
  assert.deepEqual(
    imports.map(({ source, added, doubled, finished_at }) => [
      source.split(",")[0],
      added,
      doubled,
      finished_at === null,
    ]),
    [
      ["b.csv", 1, 1, false],
      ["a.csv", 2, 0, false],
    ],
  );
});
