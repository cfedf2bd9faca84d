// The suppression list by the command line and by HTTP: put on, found, taken off, erased, imported and exported again.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { enqueue, queueRow, until } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import { startQuietUpkeep } from "../rig/quiet-upkeep.ts";
import { suppress, suppressions } from "../rig/suppressing.ts";
import { jsonOf, runCommand } from "./cli-command.ts";
import { assertProblem, startHttp } from "./http-rig.ts";

interface Told {
  readonly suppressions: readonly {
    readonly address: string | null;
    readonly scope: string;
    readonly reason: string;
  }[];
  readonly next?: string | null;
}

test("added, found by any spelling and by its domain, erased and still kept, removed", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const run = (...words: readonly string[]) => runCommand(database, ["suppression", ...words]);
  const ask = async (...words: readonly string[]) =>
    (await jsonOf<Told>(database, ["suppression", ...words])).suppressions;
  const added = await run("add", "Ann@Bücher.example", "--scope", "bulk", "--days", "30");
  assert.equal(added.exitCode, 0, added.stderr);
  assert.match(added.stdout, /^address +scope +reason/);
  await run("add", "@bücher.example");
  const found = await ask("list", "ann@XN--bcher-kva.example");
  assert.deepEqual(
    found.map(({ address, scope }) => [address, scope]),
    [
      ["@xn--bcher-kva.example", "everything"],
      ["ann@xn--bcher-kva.example", "bulk"],
    ],
  );
  const erased = await run("erase", "ann@bücher.example");
  assert.equal(erased.exitCode, 0, erased.stderr);
  await run("remove", "@bücher.example");
  assert.deepEqual(await suppressions(pool), ["bulk - manual cli"]);
  assert.equal((await ask("list", "ann@bücher.example"))[0]!.address, null);
  const id = await enqueue(pool, { to: "ann@xn--bcher-kva.example", lane: "bulk" });
  assert.equal(await queueRow(pool, id), undefined);
  assert.equal((await run("remove", "ann@bücher.example", "--scope", "everything")).exitCode, 1);
  assert.equal((await run("remove", "ann@bücher.example")).exitCode, 0);
  assert.equal((await run("list", "ann@bücher.example")).exitCode, 1);
  for (const wrong of [
    ["add", "ann"],
    ["add", "a@b.example", "--scope", "lists"],
    ["add", "a@b.example", "--list", "x"],
  ])
    assert.equal((await run(...wrong)).exitCode, 2, wrong.join(" "));
});

test("complaints without a scope are strikes: bulk at once, everything at the second", async (t) => {
  const database = await testDatabase(t);
  const complain = () => runCommand(database, ["suppression", "add", "ann@example.com", "--reason", "complaint"]);
  assert.equal((await complain()).exitCode, 0);
  assert.deepEqual(await suppressions(database.pool), ["bulk ann@example.com complaint cli"]);
  await complain();
  assert.deepEqual(await suppressions(database.pool), [
    "bulk ann@example.com complaint cli",
    "everything ann@example.com complaint cli",
  ]);
});

test("what is exported can be imported, comes out the same, and runs in no spreadsheet", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const list = { kind: "list", list: '=cmd|"x",y' } as const;
  await suppress(pool, "=1+1@example.com", { scope: list, reason: "unsubscribe" });
  await suppress(pool, "@example.net", { scope: { kind: "everything" }, days: 30 });
  await suppress(pool, "-dash@example.com", { source: "+49 30 123" });
  await suppress(pool, "gone@example.com");
  await runCommand(database, ["suppression", "erase", "gone@example.com"]);
  const exported = await runCommand(database, ["suppression", "export"]);
  const lines = exported.stdout.split("\r\n");
  assert.equal(lines[0], "address,scope,list,reason,days,source,created_at,hash");
  assert.ok(
    lines.every((line) => line.split(",").every((cell) => !/^"?[=+\-@\t\r]/.test(cell))),
    exported.stdout,
  );
  assert.equal(lines.filter((line) => /^,bulk,.*,[0-9a-f]{64}$/.test(line)).length, 1);
  const before = await suppressions(pool);
  await pool.query("DELETE FROM postlane.suppression");
  const file = path.join(database.dataDir, "list.csv");
  writeFileSync(file, exported.stdout);
  const told = await jsonOf<object>(database, ["suppression", "import", file]);
  assert.deepEqual(told, {
    added: 3,
    rejected: 1,
    rejects: [{ line: lines.findIndex((line) => line.startsWith(",bulk")) + 1, reason: "address: no address" }],
  });
  const withoutSource = (line: string) => line.replace(/ (?:test|\+49 30 123|list\.csv)$/, "");
  assert.deepEqual(
    (await suppressions(pool)).map(withoutSource),
    before.filter((line) => !line.includes(" - ")).map(withoutSource),
  );
  const { rows } = await pool.query(
    "SELECT count(*)::integer AS n FROM postlane.suppression WHERE expires_at IS NOT NULL",
  );
  assert.equal(rows[0].n, 1);
});

const FILES: readonly (readonly [string, string, readonly string[], object])[] = [
  ["a column alone", "ann@example.com\r\nbob@example.com\r\n", ["ann@example.com", "bob@example.com"], []],
  [
    "another service's, with a BOM",
    '\ufeff"Email Address";"Reason";"Created"\n"Ann@example.com";"BOUNCE";"2027"\n',
    ["ann@example.com"],
    [],
  ],
  ["a server's words as the reason", "email,reason\nann@example.com,550 5.1.1 no\n", ["ann@example.com"], []],
  ["columns in our order", "ann@example.com,everything,,manual,30\n", ["ann@example.com"], []],
  [
    "bad rows",
    'address,scope,list,days\nann,bulk,,\nbob@example.com,lists,,\ncy@example.com,list,,\ndan@example.com,bulk,,0\n"eve@example.com\nfay@example.com,bulk,,1\n',
    ["fay@example.com"],
    [
      { line: 2, reason: "address: no @" },
      { line: 3, reason: "scope: not a scope: everything, bulk, list" },
      { line: 4, reason: "scope: scope list needs the name of the list" },
      { line: 5, reason: "days: not a whole number from 1 to 36500" },
      { line: 6, reason: "a quote is opened and not closed" },
    ],
  ],
];

test("lists of other services are taken, and bad rows told with their lines", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  for (const [name, text, addresses, rejects] of FILES) {
    await pool.query("DELETE FROM postlane.suppression");
    const file = path.join(database.dataDir, "list.csv");
    writeFileSync(file, text);
    const told = await jsonOf<{ added: number; rejects: { line: number }[] }>(database, [
      "suppression",
      "import",
      file,
    ]);
    assert.deepEqual(
      told.rejects.toSorted((one, other) => one.line - other.line),
      rejects,
      name,
    );
    assert.equal(told.added, addresses.length, name);
    const { rows } = await pool.query("SELECT address FROM postlane.suppression ORDER BY 1");
    assert.deepEqual(
      rows.map(({ address }) => address),
      addresses,
      name,
    );
  }
  const file = path.join(database.dataDir, "names.csv");
  writeFileSync(file, "name,city\nAnn,Bonn\n");
  const refused = await runCommand(database, ["suppression", "import", file]);
  assert.equal(refused.exitCode, 1);
  assert.match(refused.stderr, /neither names a column of addresses/);
});

test("pages go through all of them, the newest first, by domain, reason and time", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  for (let n = 0; n < 7; n++) await suppress(pool, `user${n}@${n % 2 === 0 ? "even" : "odd"}.example`);
  await suppress(pool, "old@even.example", { reason: "import" });
  await pool.query("UPDATE postlane.suppression SET created_at = '2020-01-01' WHERE reason = 'import'");
  const seen: (string | null)[] = [];
  for (let after: string | null | undefined; after !== null;) {
    const words = after === undefined ? [] : ["--after", after];
    const page = await jsonOf<Told>(database, ["suppression", "list", "--limit", "3", ...words]);
    seen.push(...page.suppressions.map(({ address }) => address));
    after = page.next ?? null;
  }
  assert.deepEqual(
    seen.map((address) => address!.split("@")[0]),
    ["user6", "user5", "user4", "user3", "user2", "user1", "user0", "old"],
  );
  const even = await jsonOf<Told>(database, [
    "suppression",
    "list",
    "--domain",
    "EVEN.example",
    "--since",
    "2021-01-01",
  ]);
  assert.equal(even.suppressions.length, 4);
  assert.equal((await jsonOf<Told>(database, ["suppression", "list", "--reason", "import"])).suppressions.length, 1);
});

test("by HTTP: put on, found, paged, taken off; for whom may operate", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "operate" });
  const reader = await rig.key({ scope: "read" });
  const body = { address: "Ann@example.com", scope: "list", list: "news", reason: "unsubscribe", days: 10 };
  assertProblem(await rig.ask("POST", "/suppressions", { key: reader, body }), {
    status: 403,
    code: "scope_not_allowed",
  });
  const added = await rig.ask("POST", "/suppressions", { key, body });
  assert.equal(added.status, 200, JSON.stringify(added.body));
  await rig.ask("POST", "/suppressions", { key, body: { address: "@example.com" } });
  const found = await rig.ask("GET", "/suppressions?address=ann@example.com", { key: reader });
  assert.deepEqual(
    found.body.data.map((one: { address: string; scope: string; list: string | null }) => [
      one.address,
      one.scope,
      one.list,
    ]),
    [
      ["@example.com", "everything", null],
      ["ann@example.com", "list", "news"],
    ],
  );
  const first = await rig.ask("GET", "/suppressions?limit=1&domain=example.com", { key: reader });
  const second = await rig.ask("GET", `/suppressions?limit=1&domain=example.com&after=${first.body.next}`, {
    key: reader,
  });
  assert.deepEqual(
    [first.body.data.length, second.body.data[0].address, second.body.next],
    [1, "ann@example.com", null],
  );
  const removed = await rig.ask("DELETE", "/suppressions?address=ANN@example.com&list=news", { key });
  assert.deepEqual(removed.body, { object: "suppression", removed: 1 });
  const again = await rig.ask("DELETE", "/suppressions?address=ANN@example.com", { key });
  assertProblem(again, { status: 404, code: "suppression_not_found" });
  const bad = await rig.ask("POST", "/suppressions", { key, body: { ...body, list: null } });
  assertProblem(bad, { status: 422, code: "bad_field", field: "scope" });
  const nobody = await rig.ask("POST", "/suppressions", { key, body: { address: "ann" } });
  assertProblem(nobody, { status: 422, code: "bad_address", field: "address" });
  for (const query of ["after=x", "domain=%00", "list=%0a", "since=monday", "address=ann@example.com&reason=bounce"]) {
    assertProblem(await rig.ask("GET", `/suppressions?${query}`, { key }), { status: 400, code: "bad_parameter" });
  }
});

test("upkeep forgets what is over, and nothing else", async (t) => {
  const { pool } = await testDatabase(t);
  await suppress(pool, "over@example.com", { days: 1 });
  await suppress(pool, "holds@example.com", { days: 1 });
  await suppress(pool, "ever@example.com");
  await pool.query("UPDATE postlane.suppression SET expires_at = now() WHERE address = 'over@example.com'");
  startQuietUpkeep(t, pool);
  await until("it is gone", async () => (await suppressions(pool)).length === 2);
  assert.deepEqual(await suppressions(pool), [
    "bulk ever@example.com manual test",
    "bulk holds@example.com manual test",
  ]);
});
