// Lists into campaigns: what spreadsheets write comes in, what is bad is reported with its line, nothing is queued that
// does not fit the template, and nobody twice, whatever is killed or run again.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import {
  sendCampaign,
  type CampaignAnswer,
  type CampaignSent,
  type CampaignWish,
} from "../../src/campaigns/send-campaign.ts";
import { feedCampaigns } from "../rig/campaign-list.ts";
import { type TestDatabase, testDatabase } from "../rig/postgres.ts";

interface Rig extends TestDatabase {
  readonly templateDir: string;
  write(name: string, content: string | Buffer): string;
  send(file: string, wish?: Partial<CampaignWish>): Promise<CampaignAnswer>;
}

test("a list as a spreadsheet writes it: BOM, semicolons, quotes, CRLF, names in any script", async (t) => {
  const rig = await importRig(t, { text: "Hello {{ first_name }}, {{ note }}" });
  const file = rig.write(
    "people.csv",
    '\uFEFFE-Mail;First Name;Note\r\nann@example.com;Ann;"said ""hi""; twice"\r\n bob@example.com ;Бо\\б;"two\r\nlines"\r\n' +
      "用户@例え.jp;用户;tab\there\r\n",
  );
  const progress: number[] = [];
  const sent = sentOf(
    await rig.send(file, { onProgress: ({ bytesRead, bytesTotal }) => progress.push(bytesRead / bytesTotal) }),
  );
  assert.deepEqual(countsOf(sent), { rows: 3, accepted: 3, doubled: 0, rejected: 0 });
  assert.equal(sent.name, "people");
  assert.equal(sent.rejectsFile, undefined);
  assert.equal(progress.at(-1), 1);
  const { rows } = await rig.pool.query(
    "SELECT address AS recipient, data::json FROM postlane.recipient ORDER BY line",
  );
  assert.deepEqual(rows, [
    { recipient: "ann@example.com", data: { e_mail: "ann@example.com", first_name: "Ann", note: 'said "hi"; twice' } },
    { recipient: "bob@example.com", data: { e_mail: " bob@example.com ", first_name: "Бо\\б", note: "two\r\nlines" } },
    { recipient: "用户@例え.jp", data: { e_mail: "用户@例え.jp", first_name: "用户", note: "tab\there" } },
  ]);
  assert.deepEqual(await campaignRow(rig), { status: "running", rejected: 0, doubled: 0, lane: "bulk" });
  assert.deepEqual(readdirSync(path.dirname(file)), ["people.csv"], "no rejects file, and none begun");
});

test("bad rows are reported with their line, reason and text, and never stop the import", async (t) => {
  const rig = await importRig(t);
  const file = rig.write(
    "list.csv",
    "email,first_name\nann@example.com,Ann\nbob,Bob\n,Nobody\ncarol@example.com\ndan@example.com,Dan,more\n" +
      'eve@exa mple.com,"Eve, the ""first"""\n=cmd@example,=1+1\n"zed@example.com,Zed\nyan@example.com,Yan\nANN@example.com,Again\n',
  );
  const sent = sentOf(await rig.send(file));
  assert.deepEqual(countsOf(sent), { rows: 10, accepted: 2, doubled: 1, rejected: 7 });
  assert.equal(sent.rejectsFile, path.join(path.dirname(file), "list.rejects.csv"));
  assert.deepEqual(readFileSync(sent.rejectsFile, "utf8").trimEnd().split("\n"), [
    "line,reason,raw",
    '3,"no @","bob,Bob"',
    '4,"no address",",Nobody"',
    '5,"1 fields instead of 2","carol@example.com"',
    '6,"3 fields instead of 2","dan@example.com,Dan,more"',
    '7,"a character that an address cannot have","eve@exa mple.com,Eve, the ""first"""',
    `8,"the domain has fewer than two labels","'=cmd@example,=1+1"`,
    '9,"a quote is opened and not closed","""zed@example.com,Zed"',
  ]);
  assert.equal((await campaignRow(rig)).rejected, 7);
  assert.deepEqual(await recipients(rig), ["ann@example.com", "yan@example.com"]);

  rig.write("list.csv", "email,first_name\nann@example.com,Ann\n");
  assert.deepEqual(countsOf(sentOf(await rig.send(file))), { rows: 1, accepted: 0, doubled: 1, rejected: 0 });
  assert.equal(existsSync(sent.rejectsFile), false, "the rejects of an earlier run are gone");
});

test("the same list twice queues nobody twice; a longer one adds what is new, also to a campaign that has finished", async (t) => {
  const rig = await importRig(t);
  const lines = Array.from({ length: 500 }, (_, n) => `user${n}@d${n % 7}.example,Name ${n}`);
  const first = sentOf(await rig.send(rig.write("a.csv", `email,first_name\n${lines.join("\n")}`), { name: "spring" }));
  assert.equal(first.accepted, 500);
  const again = sentOf(await rig.send(path.join(rig.dataDir, "lists/a.csv"), { name: "spring" }));
  assert.deepEqual([again.campaignId, again.accepted, again.doubled], [first.campaignId, 0, 500]);
  await rig.pool.query("UPDATE postlane.campaign SET status = 'finished'");
  const longer = `email,first_name\n${lines.join("\n")}\nnew@example.com,New\nNEW@example.com,New`;
  const more = sentOf(await rig.send(rig.write("b.csv", longer), { name: "spring" }));
  assert.deepEqual(countsOf(more), { rows: 502, accepted: 1, doubled: 501, rejected: 0 });
  assert.equal((await campaignRow(rig)).status, "running");
  assert.deepEqual(await exactly(rig), { messages: 501, people: 501, queued: 501, balance: 501 });
});

test("a paused campaign takes new rows and stays paused", async (t) => {
  const rig = await importRig(t);
  await rig.send(rig.write("a.csv", "email,first_name\na@example.com,A\n"), { name: "c" });
  await rig.pool.query("UPDATE postlane.campaign SET status = 'paused'");
  assert.equal(
    sentOf(await rig.send(rig.write("b.csv", "email,first_name\nb@example.com,B\n"), { name: "c" })).accepted,
    1,
  );
  assert.equal((await campaignRow(rig)).status, "paused");
});

test("another template, sender or lane, or a canceled campaign, is refused by name", async (t) => {
  const rig = await importRig(t);
  const file = rig.write("a.csv", "email,first_name\na@example.com,A\n");
  await rig.send(file);
  assert.match(refusalOf(await rig.send(file, { lane: "transactional" })), /campaign: campaign "a" is in lane bulk/);
  assert.match(refusalOf(await rig.send(file, { from: "other@example.com" })), /begun with another template or sender/);
  writeFileSync(path.join(rig.templateDir, "body.txt"), "Changed, {{ first_name }}");
  assert.match(refusalOf(await rig.send(file)), /begun with another template or sender/);
  assert.match(refusalOf(await rig.send(file, { name: "b", lane: "express" })), /^lane: there is no lane "express"/);
  const { rows } = await rig.pool.query("SELECT count(*) AS n FROM postlane.content");
  assert.equal(rows[0].n, 1, "no template is left behind without its campaign");
  await rig.pool.query("UPDATE postlane.campaign SET status = 'canceled'");
  assert.match(refusalOf(await rig.send(file)), /was canceled/);
});

test("a campaign that is canceled in the middle of its import takes no further row", async (t) => {
  const rig = await importRig(t);
  const file = rig.write("big.csv", bigList(60_000));
  let canceling: Promise<unknown> | undefined;
  const answer = await rig.send(file, {
    onProgress() {
      canceling ??= rig.pool.query("UPDATE postlane.campaign SET status = 'canceled'");
    },
  });
  await canceling;
  assert.match(refusalOf(answer), /^campaign: campaign "big" was canceled/);
  const known = await recipientsOf(rig);
  assert.ok(known > 0 && known < 60_000, `${known} recipients`);
  assert.deepEqual(await exactly(rig), { messages: 0, people: 0, queued: 0, balance: 0 });
  assert.equal((await campaignRow(rig)).status, "canceled");
});

test("a variable without a column stops before anything is queued, with the template's line", async (t) => {
  const rig = await importRig(t, { text: "Hello {{ first_name }}\nfrom {{ town }}\n" });
  const answer = await rig.send(rig.write("a.csv", "email,First Name\na@example.com,A\n"));
  assert.match(refusalOf(answer), /^template: body\.txt:2:\d+: the list has no column "town"/);
  assert.deepEqual(await exactly(rig), { messages: 0, people: 0, queued: 0, balance: 0 });
});

test("empty cells stop, say how many and show five; with allowEmpty, or a default, they do not", async (t) => {
  const rig = await importRig(t, { text: "Hello {{ first_name }} of {{ town }}" });
  const rows = Array.from(
    { length: 8 },
    (_, n) => `user${n}@example.com,${n === 2 ? "Ann" : n === 3 ? "  " : ""},Rome`,
  );
  const file = rig.write("a.csv", `email,first_name,town\n${rows.join("\n")}\nno address,,\n`);
  const answer = await rig.send(file);
  assert.match(refusalOf(answer), /^empty_cells: 7 rows of the list have an empty cell/);
  assert.ok(answer.kind === "refused");
  assert.deepEqual(
    answer.empty?.first.map(({ line, address, columns }) => [line, address, ...columns]),
    [0, 1, 3, 4, 5].map((n) => [n + 2, `user${n}@example.com`, "first_name"]),
  );
  assert.deepEqual(await exactly(rig), { messages: 0, people: 0, queued: 0, balance: 0 });
  assert.equal(sentOf(await rig.send(file, { allowEmpty: true })).accepted, 8);
  writeFileSync(path.join(rig.templateDir, "body.txt"), 'Hello {{ first_name | default: "friend" }} of {{ town }}');
  assert.equal(sentOf(await rig.send(file, { name: "with default" })).accepted, 8);
});

test("what is no list is refused with the reason", async (t) => {
  const rig = await importRig(t);
  assert.match(refusalOf(await rig.send(path.join(rig.dataDir, "none.csv"))), /^list: .*none\.csv is not a file/);
  assert.match(refusalOf(await rig.send(rig.dataDir)), /is not a file/);
  assert.match(
    refusalOf(await rig.send(rig.write("a.csv", "name,first_name\nA,B\n"))),
    /no column of the list holds the address/,
  );
  const file = rig.write("b.csv", "email,first_name\na@example.com,A\n");
  assert.match(refusalOf(await rig.send(file, { rejectsFile: file })), /cannot be the list itself/);
  const nowhere = path.join(rig.dataDir, "no/such/folder.csv");
  assert.match(refusalOf(await rig.send(file, { rejectsFile: nowhere })), /cannot be written/);
  assert.deepEqual(await exactly(rig), { messages: 0, people: 0, queued: 0, balance: 0 });
});

test("of two rows in neighbouring parts of a file the first one counts", async (t) => {
  const rig = await importRig(t);
  const lines = Array.from({ length: 30_000 }, (_, n) =>
    // Every third row is a double of one about as many rows before as go into one transaction.
    n >= 5_000 && n % 3 === 0 ? `USER${n - 4_999}@d.example,Second ${n}` : `user${n}@d.example,First ${n}`,
  );
  const sent = sentOf(await rig.send(rig.write("twice.csv", `email,first_name\n${lines.join("\n")}\n`)));
  const { rows } = await rig.pool.query(
    `SELECT count(*) FILTER (WHERE r.data::json ->> 'first_name' LIKE 'Second%' AND EXISTS (
       SELECT FROM postlane.left_out AS l WHERE l.import_id = r.import_id AND lower(l.raw) = lower(r.address)
         AND l.line < r.line)) AS later, count(*) AS n FROM postlane.recipient AS r`,
  );
  assert.deepEqual(rows, [{ later: 0, n: sent.accepted }]);
  assert.ok(sent.doubled > 4_000, `${sent.doubled} doubled`);
});

test("an import that is killed in the middle is run again to the exact count", async (t) => {
  const rig = await importRig(t);
  const rows = 45_000;
  const file = rig.write("big.csv", bigList(rows));
  const child = startImport(rig, file);
  for await (const _batch of child.lines) {
    child.process.kill("SIGKILL");
    break;
  }
  await child.ended;
  const before = await recipientsOf(rig);
  assert.ok(before > 0 && before < rows, `${before} recipients when it was killed`);
  assert.equal((await campaignRow(rig)).status, "importing", "nothing of it is handed over");
  const sent = sentOf(await rig.send(file));
  assert.equal(sent.rows, rows);
  assert.equal(sent.accepted, rows, "what was in counts once");
  assert.deepEqual(await exactly(rig), { messages: rows, people: rows, queued: rows, balance: rows });
  assert.equal((await campaignRow(rig)).status, "running");
});

test("two imports of one list at the same time come to the exact count", async (t) => {
  const rig = await importRig(t);
  const rows = 20_000;
  const file = rig.write("twice.csv", bigList(rows));
  const backwards = rig.write("backwards.csv", bigList(rows, true));
  const answers = await Promise.all([rig.send(file, { name: "one" }), rig.send(backwards, { name: "one" })]);
  const [one, two] = answers.map(sentOf);
  assert.equal(one!.accepted + two!.accepted, rows);
  assert.deepEqual(await exactly(rig), { messages: rows, people: rows, queued: rows, balance: rows });
});

test("a long list needs no more memory than a short one", async (t) => {
  const rig = await importRig(t);
  const child = startImport(rig, rig.write("long.csv", bigList(150_000)));
  let last = "";
  for await (const line of child.lines) last = line;
  await child.ended;
  const { accepted, rssMax } = JSON.parse(last) as { readonly accepted: number; readonly rssMax: number };
  assert.equal(accepted, 150_000);
  // 130 to 150 MB measured, of which Node.js and the libraries take half; the list as a whole would be far more.
  assert.ok(rssMax < 180 * 1024, `${Math.round(rssMax / 1024)} MB`);
});

async function importRig(
  t: TestContext,
  template: { readonly text: string } = { text: "Hello {{ first_name }}" },
): Promise<Rig> {
  const database = await testDatabase(t);
  const templateDir = path.join(database.dataDir, "template");
  const lists = path.join(database.dataDir, "lists");
  mkdirSync(templateDir);
  mkdirSync(lists);
  writeFileSync(path.join(templateDir, "template.yaml"), "from: News <news@example.com>\nsubject: Hello\n");
  writeFileSync(path.join(templateDir, "body.txt"), template.text);
  return {
    ...database,
    templateDir,
    write(name, content) {
      writeFileSync(path.join(lists, name), content);
      return path.join(lists, name);
    },
    send: (file, wish = {}) => sendCampaign(database.pool, { file, templateDir, lane: "bulk", ...wish }),
  };
}

function startImport(rig: Rig, file: string) {
  const script = path.join(import.meta.dirname, "campaign-import-child.js");
  const child = spawn(process.execPath, [script, rig.databaseUrl, rig.dataDir, file, rig.templateDir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return { process: child, lines: createInterface({ input: child.stdout }), ended: once(child, "close") };
}

function bigList(rows: number, isBackwards = false): string {
  const lines = Array.from({ length: rows }, (_, n) => `user${n}@d${n % 1000}.example,Name ${n}`);
  return `email,first_name\n${(isBackwards ? lines.toReversed() : lines).join("\n")}\n`;
}

function sentOf(answer: CampaignAnswer): CampaignSent {
  assert.ok(answer.kind === "sent", JSON.stringify(answer));
  assert.equal(answer.rows, answer.accepted + answer.doubled + answer.rejected);
  return answer;
}

function refusalOf(answer: CampaignAnswer): string {
  assert.ok(answer.kind === "refused", JSON.stringify(answer));
  return `${answer.code}: ${answer.problems.join("\n")}`;
}

function countsOf({ rows, accepted, doubled, rejected }: CampaignSent) {
  return { rows, accepted, doubled, rejected };
}

async function recipients({ pool }: Rig): Promise<readonly string[]> {
  const { rows } = await pool.query("SELECT address FROM postlane.recipient ORDER BY line");
  return rows.map((row) => row.address as string);
}

async function recipientsOf({ pool }: Rig): Promise<number> {
  const { rows } = await pool.query("SELECT count(*) AS n FROM postlane.recipient");
  return rows[0].n as number;
}

async function campaignRow({ pool }: Rig) {
  const { rows } = await pool.query(
    `SELECT status, lane.name AS lane, sums.rejected, sums.doubled
     FROM postlane.campaign AS c JOIN postlane.lane ON lane.id = c.lane_id
     CROSS JOIN LATERAL (
       SELECT sum(rejected)::bigint AS rejected, sum(doubled)::bigint AS doubled
       FROM postlane.list_import AS i WHERE i.list_id = c.list_id
     ) AS sums`,
  );
  assert.equal(rows.length, 1);
  return rows[0] as {
    readonly status: string;
    readonly lane: string;
    readonly rejected: number;
    readonly doubled: number;
  };
}

/** Once all messages that may be made are. */
async function exactly({ pool }: Rig) {
  await feedCampaigns(pool);
  const { rows } = await pool.query(
    `SELECT count(*) AS messages, count(DISTINCT lower(recipient)) AS people,
       (SELECT count(*) FROM postlane.queue WHERE state = 'queued') AS queued,
       (SELECT coalesce(sum(n), 0)::bigint FROM postlane.balance_sheet WHERE state = 'queued') AS balance
     FROM postlane.message`,
  );
  return rows[0] as {
    readonly messages: number;
    readonly people: number;
    readonly queued: number;
    readonly balance: number;
  };
}
