// Kept lists, and what an import makes of cells: typed data, rejected rows with their reasons, doubles of every kind.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { createDraft } from "../../src/campaigns/create-campaign.ts";
import { importKeptList, type KeptListImported, type KeptListWish } from "../../src/campaigns/keep-list.ts";
import { findList, listImports } from "../../src/campaigns/list-store.ts";
import { startCampaign } from "../../src/campaigns/start-campaign.ts";
import { prepareTemplate } from "../../src/templates/prepare-template.ts";
import { feedCampaigns } from "../rig/campaign-list.ts";
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

test("a column's type is the list's, and the address stays where it is: other files are refused with what to do", async (t) => {
  const rig = await listRig(t);
  await rig.keep(rig.write("a.csv", "email,points\nann@x.example,1\n"), { types: { points: "number" } });
  for (const [content, types, said] of [
    [
      "email,points\nb@x.example,2\n",
      { points: "text" },
      /"points" is of type number in the list: give no type for it/,
    ],
    ["mail,points\nb@x.example,2\n", {}, /the address is in the column "mail", and in the list in "email": name it so/],
    ["email,timezone,tz\nb@x.example,,\n", {}, /two columns of the list are named time_zone: "timezone" and "tz"/],
  ] as const) {
    assert.match(refusalOf(await rig.keep(rig.write("b.csv", content), { types })), said);
  }
  assert.match(
    refusalOf(await rig.keep(rig.write("c.csv", "email\n"), { name: "two words" })),
    /cannot be the name of a list/,
  );
  const { rows } = await rig.pool.query("SELECT count(*) AS n FROM postlane.list_import");
  assert.equal(rows[0].n, 1);
});

test("a cell that is not of its column's type rejects its row, with the column and the reason; the others go on", async (t) => {
  const rig = await listRig(t);
  const rejected: unknown[] = [];
  const file = rig.write(
    "typed.csv",
    "email,points,joined,extra,locale,tz\n" +
      'ann@x.example,1234567890123456789.10,2027-01-31,"{""a"": [1, 2.50]}",de,Europe/Vienna\n' +
      "bob@x.example,,,,,\n" +
      "cat@x.example,1.000,2027-02-29,,,\n" +
      'dan@x.example,"1,5",,,,\n' +
      "eve@x.example,1,,{a},,\n" +
      "fox@x.example,1,,,,Mars/Base\n",
  );
  const answer = await rig.keep(file, {
    types: { points: "number", joined: "date", extra: "json" },
    onRejected: async (rows) => void rejected.push(...rows.map(({ line, reason }) => `${line}: ${reason}`)),
  });
  assert.deepEqual(countsOf(answer), { rows: 6, accepted: 2, doubled: 0, rejected: 4 });
  assert.deepEqual(rejected, [
    '4: joined: "2027-02-29" is not a date: write 2027-01-31, or 2027-01-31T09:00:00Z',
    '5: points: "1,5" is not a number: write digits, with a point before decimals',
    '6: extra: "{a}" is not JSON',
    '7: time_zone: "Mars/Base" is not a time zone, such as "Europe/Vienna"',
  ]);
  const { rows } = await rig.pool.query("SELECT data, time_zone FROM postlane.recipient ORDER BY n");
  assert.deepEqual(rows, [
    {
      data: '{"email":"ann@x.example","points":1234567890123456789.10,"joined":"2027-01-31","extra":{"a": [1, 2.50]},"locale":"de","time_zone":"Europe/Vienna"}',
      time_zone: "Europe/Vienna",
    },
    {
      data: '{"email":"bob@x.example","points":null,"joined":null,"extra":null,"locale":null,"time_zone":null}',
      time_zone: null,
    },
  ]);
});

test("typed columns are typed in the messages of a campaign: a number keeps its digits", async (t) => {
  const rig = await listRig(t);
  const file = rig.write("typed.csv", 'email,points,extra\nann@x.example,1234567890123456789.10,"[true]"\n');
  await rig.keep(file, { types: { points: "number", extra: "json" } });
  const draft = await createDraft(rig.pool, {
    name: "march",
    lane: "bulk",
    list: { kept: "members" },
    template: { prepared: prepareTemplate({ subject: "News", text: "{{ points }}" }) },
    unsubscribe: "offered",
  });
  assert.ok(draft.kind === "created", JSON.stringify(draft));
  assert.equal((await startCampaign(rig.pool, draft.campaignId, { when: { kind: "now" } })).kind, "started");
  await feedCampaigns(rig.pool);
  const { rows } = await rig.pool.query("SELECT data::text AS data FROM postlane.message");
  assert.deepEqual(rows, [{ data: '{"email":"ann@x.example","points":1234567890123456789.10,"extra":[true]}' }]);
});

test("doubles are counted within a chunk, across chunks and across files, and say of what they are one", async (t) => {
  const rig = await listRig(t);
  // More than a chunk has.
  const lines = Array.from({ length: 7_000 }, (_, n) => `user${n}@x.example,${n}`);
  const file = rig.write(
    "a.csv",
    ["email,n", "Twin@x.example,1", "twin@X.example,2", ...lines, "TWIN@x.example,3"].join("\n"),
  );
  assert.deepEqual(countsOf(await rig.keep(file)), { rows: 7_003, accepted: 7_001, doubled: 2, rejected: 0 });
  const second = rig.write("b.csv", "email,n\nnew@x.example,1\nNEW@x.example,2\nuser5@x.example,3\nno address,4\n");
  assert.deepEqual(countsOf(await rig.keep(second)), { rows: 4, accepted: 1, doubled: 2, rejected: 1 });
  const { rows } = await rig.pool.query(
    "SELECT line, kind, raw, reason FROM postlane.left_out ORDER BY import_id, line",
  );
  const today = (
    await rig.pool.query("SELECT min(begun_at AT TIME ZONE 'UTC')::date::text AS day FROM postlane.list_import")
  ).rows[0].day as string;
  assert.deepEqual(
    rows.map(({ line, kind, raw, reason }) => [line, kind, raw, reason]),
    [
      [3, "double", "twin@X.example", "stands on line 2 already"],
      [7_004, "double", "TWIN@x.example", "stands on line 2 already"],
      [3, "double", "NEW@x.example", "stands on line 2 already"],
      [4, "double", "user5@x.example", `is in the list since ${today}`],
      [5, "rejected", "no address,4", "no @"],
    ],
  );
  const { rows: twin } = await rig.pool.query(
    "SELECT data::json ->> 'n' AS n FROM postlane.recipient WHERE lower(address) = 'twin@x.example'",
  );
  assert.deepEqual(twin, [{ n: "1" }], "the first of a file counts");
});

test("imports into one list at the same time take turns, each with counts of its own that add up", async (t) => {
  const rig = await listRig(t);
  const rows = 12_000;
  const lines = Array.from({ length: rows }, (_, n) => `user${n}@d${n % 100}.example,${n}`);
  const forwards = rig.write("forwards.csv", `email,n\n${lines.join("\n")}\n`);
  const backwards = rig.write("backwards.csv", `email,m\n${lines.toReversed().join("\n")}\n`);
  const answers = await Promise.all([rig.keep(forwards), rig.keep(backwards), rig.keep(forwards)]);
  const sums = answers.map(countsOf);
  assert.deepEqual(
    sums.map(({ accepted, doubled }) => accepted + doubled),
    [rows, rows, rows],
  );
  assert.deepEqual(
    sums.map(({ accepted }) => accepted).toSorted((a, b) => a - b),
    [0, 0, rows],
  );
  const list = (await findList(rig.pool, "members"))!;
  assert.equal(list.recipients, rows);
  assert.deepEqual(list.columns.map(({ name }) => name).toSorted(), ["email", "m", "n"]);
  // One after the other: each was finished before the next was begun.
  const imports = (await listImports(rig.pool, list.id, 10)).toReversed();
  for (const [at, { begun_at }] of imports.slice(1).entries()) assert.ok(begun_at >= imports[at]!.finished_at!);
});

test("an import that failed in the middle is taken up by the same file, to the exact count", async (t) => {
  const rig = await listRig(t);
  const rows = 23_000;
  const lines = Array.from({ length: rows }, (_, n) => `user${n}@d${n % 100}.example,${n % 1000 === 0 ? "x" : n}`);
  const file = rig.write("a.csv", `email,n\n${lines.join("\n")}\nuser1@d1.example,1\n`);
  const types = { n: "number" } as const;
  let chunks = 0;
  const failing = rig.keep(file, {
    types,
    onProgress() {
      if (++chunks === 2) throw new Error("cut off");
    },
  });
  await assert.rejects(failing, /cut off/);
  const before = (await findList(rig.pool, "members"))!.recipients;
  assert.ok(before > 0 && before < rows, `${before} recipients when it was cut off`);
  assert.deepEqual(countsOf(await rig.keep(file)), { rows: rows + 1, accepted: rows - 23, doubled: 1, rejected: 23 });
  const list = (await findList(rig.pool, "members"))!;
  assert.deepEqual(
    [list.recipients, list.doubled, list.rejected, (await listImports(rig.pool, list.id, 10)).length],
    [rows - 23, 1, 23, 1],
  );
});

function refusalOf(answer: Awaited<ReturnType<typeof importKeptList>>): string {
  assert.ok(answer.kind === "refused", JSON.stringify(answer));
  return `${answer.code}: ${answer.problems.join("\n")}`;
}
