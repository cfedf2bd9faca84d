// `campaign create` and `campaign edit`: drafts of kept lists and of files, and what may be changed of them in which status.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { findCampaign, listCampaignVersions, type CampaignStatus } from "../../src/campaigns/campaign-store.ts";
import { createDraft, type DraftCreated, type DraftWish } from "../../src/campaigns/create-campaign.ts";
import { editCampaign } from "../../src/campaigns/edit-campaign.ts";
import { importKeptList } from "../../src/campaigns/keep-list.ts";
import { readContent } from "../../src/templates/template-store.ts";
import { booksOf } from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { jsonOf, runCommand } from "./cli-command.ts";

interface Rig extends TestDatabase {
  write(name: string, content: string): string;
  /** A folder of this text; its path. */
  template(text: string, yaml?: string): string;
  keep(name: string, content: string): Promise<void>;
  create(wish?: Partial<DraftWish>): ReturnType<typeof createDraft>;
}

test("a draft of a kept list is checked against its columns, and accepts nobody", async (t) => {
  const rig = await draftRig(t);
  await rig.keep("members", "email,first_name\nann@x.example,Ann\nbob@x.example,\n");
  const draft = createdOf(await rig.create());
  const campaign = (await findCampaign(rig.pool, "march", undefined))!;
  const { id, status, list, list_name, version } = campaign;
  assert.deepEqual(
    { id, status, list, list_name, version },
    { id: draft.campaignId, status: "draft", list: "members", list_name: "members", version: 1 },
  );
  assert.equal(campaign.list_id, draft.listId);
  assert.equal(draft.imported, undefined);
  assert.deepEqual(await booksOf(rig.pool, draft.campaignId), {});
  const answer = await rig.create({ name: "april", template: { named: rig.template("Hello {{ town }}") } });
  assert.match(refusalOf(answer), /^template: body\.txt:1:\d+: the list has no column "town"/);
  assert.equal(await findCampaign(rig.pool, "april", undefined), undefined);
});

test("a draft of a file has a list of its own; the file's rejected rows are told, and nobody is accepted", async (t) => {
  const rig = await draftRig(t);
  const file = rig.write("guests.csv", "email,first_name,seats\na@x.example,A,2\nb@x.example,B,two\nA@x.example,A,3\n");
  const draft = createdOf(await rig.create({ list: { file, types: { seats: "number" } }, listName: "invitations" }));
  assert.deepEqual(draft.imported, {
    rows: 3,
    accepted: 1,
    doubled: 1,
    rejected: 1,
    rejectsFile: path.join(path.dirname(file), "guests.rejects.csv"),
  });
  const { status, list, list_name } = (await findCampaign(rig.pool, "march", undefined))!;
  assert.deepEqual({ status, list, list_name }, { status: "draft", list: "invitations", list_name: null });
  assert.deepEqual(await booksOf(rig.pool, draft.campaignId), {});
});

test("a create that was killed is run again to the exact count", async (t) => {
  const rig = await draftRig(t);
  const rows = 45_000;
  const lines = Array.from({ length: rows }, (_, n) => `user${n}@d${n % 1000}.example,Name ${n}`);
  const file = rig.write("big.csv", `email,first_name\n${lines.join("\n")}\n`);
  const template = rig.template("Hello {{ first_name }}");
  const script = path.join(import.meta.dirname, "campaign-create-child.js");
  const child = spawn(process.execPath, [script, rig.databaseUrl, rig.dataDir, file, template], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  for await (const _line of createInterface({ input: child.stdout })) {
    child.kill("SIGKILL");
    break;
  }
  await ended;
  const before = (await findCampaign(rig.pool, "march", undefined))!;
  assert.equal(before.status, "importing");
  const draft = createdOf(await rig.create({ list: { file }, template: { named: template } }));
  assert.equal(draft.campaignId, before.id);
  assert.equal(draft.imported!.accepted, rows);
  const { rows: counted } = await rig.pool.query(
    "SELECT count(*) AS n, count(DISTINCT lower(address)) AS people FROM postlane.recipient",
  );
  assert.deepEqual(counted[0], { n: rows, people: rows });
  assert.match(
    refusalOf(await rig.create({ list: { file } })),
    /there is a campaign "march", which is a draft: give this one another name/,
  );
});

test("what is no list, no lane or no name is refused, and nothing is left behind", async (t) => {
  const rig = await draftRig(t);
  await rig.keep("members", "email,first_name\nann@x.example,Ann\n");
  for (const [wish, said] of [
    [{ list: { kept: "nobody" } }, /^list: there is no kept list "nobody", and no file of that name/],
    [{ list: { file: path.join(rig.dataDir, "none.csv") } }, /^list: .*none\.csv is not a file/],
    [{ lane: "express" }, /^lane: there is no lane "express"/],
    [{ name: "two\nlines" }, /^campaign: a campaign's name is 1 to 200 characters in one line/],
    [{ listName: "so long" }, /^unsubscribe: "so long" is not the name of a list/],
    [{ unsubscribe: "missing" }, /^unsubscribe: nobody could unsubscribe from it/],
    [{ template: { pushed: "none@2" } }, /^template: there is no template none@2/],
    [{ template: { pushed: rig.template("Hi") } }, /^template: there is no template /],
  ] as const satisfies readonly (readonly [Partial<DraftWish>, RegExp])[]) {
    assert.match(refusalOf(await rig.create(wish)), said);
  }
  const { rows } = await rig.pool.query(
    "SELECT (SELECT count(*) FROM postlane.campaign) AS campaigns, (SELECT count(*) FROM postlane.content) AS contents",
  );
  assert.deepEqual(rows[0], { campaigns: 0, contents: 0 });
});

test("an edit is a version of its own; the same template again is none; the sender stays where none is given", async (t) => {
  const rig = await draftRig(t);
  await rig.keep("members", "email,first_name\nann@x.example,Ann\n");
  const { campaignId: id } = createdOf(await rig.create({ from: "Ann <ann@shop.example>" }));
  const edit = (dir: string, from?: string) =>
    editCampaign(rig.pool, id, {
      template: { named: dir },
      unsubscribe: "offered",
      ...(from === undefined ? {} : { from }),
    });
  const newer = rig.template("Dear {{ first_name }}", "subject: News\n");
  assert.deepEqual(await edit(newer), { kind: "edited", version: 2 });
  assert.deepEqual(await edit(newer), { kind: "unchanged", version: 2 });
  assert.deepEqual(await edit(newer, "Bob <bob@shop.example>"), { kind: "edited", version: 3 });
  const versions = await listCampaignVersions(rig.pool, id);
  const senders = await Promise.all(
    versions.map(async ({ content_id }) => ((await readContent(rig.pool, content_id)) as { from?: string }).from),
  );
  assert.deepEqual(senders, ["Ann <ann@shop.example>", "Ann <ann@shop.example>", "Bob <bob@shop.example>"]);
  const hole = await edit(rig.template("Dear {{ nobody }}"));
  assert.ok(hole.kind === "refused");
  assert.match(hole.problems.join(), /the list has no column "nobody"/);
  assert.equal((await findCampaign(rig.pool, "", id))!.version, 3);
});

test("an edit is possible as long as somebody may still get it, and the refusal says what is possible instead", async (t) => {
  const rig = await draftRig(t);
  await rig.keep("members", "email,first_name\nann@x.example,Ann\n");
  const { campaignId: id } = createdOf(await rig.create());
  const possible: readonly CampaignStatus[] = ["draft", "scheduled", "running", "paused"];
  for (const [at, status] of [...possible, "importing", "canceled", "finished"].entries()) {
    await rig.pool.query("UPDATE postlane.campaign SET status = $1", [status]);
    const template = { named: rig.template(`Number ${at} to {{ first_name }}`) };
    const answer = await editCampaign(rig.pool, id, { template, unsubscribe: "offered" });
    assert.deepEqual(
      answer,
      at < possible.length ? { kind: "edited", version: at + 2 } : { kind: "refused_status", status },
    );
  }
  const { exitCode, stderr } = await runCommand(rig, ["campaign", "edit", "march", "--template", rig.template("x")]);
  assert.equal(exitCode, 1);
  assert.match(stderr, /Campaign "march" is finished: edit is not possible. `campaign send-rest` sends to those/);
});

test("the commands: a list is kept, a campaign made of it, and edited", async (t) => {
  const rig = await draftRig(t);
  writeFileSync(
    path.join(rig.dataDir, "members.csv"),
    "email,first_name,points,TZ\nann@x.example,Ann,007,\nann@x.example,Ann,7,Europe/Vienna\nbob@x.example,Bob,8.50,Europe/Vienna\ncat@x.example,Cat,1,\n",
  );
  rig.template("Hello {{ first_name }}: {{ points }}");
  const imported = await runCommand(rig, ["list", "import", "members", "members.csv", "--column", "points=number"]);
  assert.equal(imported.exitCode, 0, imported.stderr);
  assert.equal(
    imported.stdout,
    "3 recipients added to the new list members from 4 rows\n  1 row rejected, each with its reason in members.rejects.csv\n",
  );
  const shown = await jsonOf<{ recipients: number; columns: readonly unknown[]; time_zones: unknown }>(rig, [
    "list",
    "show",
    "members",
  ]);
  assert.deepEqual(shown.columns, [
    { name: "email", type: "text", is_address: true },
    { name: "first_name", type: "text", is_address: false },
    { name: "points", type: "number", is_address: false },
    { name: "time_zone", type: "time_zone", is_address: false },
  ]);
  assert.deepEqual(shown.time_zones, [
    { time_zone: "Europe/Vienna", rows: 2 },
    { time_zone: null, rows: 1 },
  ]);
  const table = await runCommand(rig, ["list", "show", "members"]);
  assert.match(table.stdout, /^members: 3 recipients; 0 doubled, 1 rejected\n/);
  assert.match(table.stdout, /members\.csv, \d+ octets {2,}3 {2,}0 {2,}1 {2,}\d{4}-/);
  assert.match(
    (await runCommand(rig, ["list", "list"])).stdout,
    /^members {2,}3 {2}email, first_name, points, time_zone/m,
  );

  const args = ["campaign", "create", "march", "--template", "template1"];
  const created = await runCommand(rig, [...args, "--list", "members"]);
  assert.match(created.stdout, /^march \(cmp_\d+\) is a draft; nothing is queued\n$/);
  assert.match(
    (await runCommand(rig, [...args, "--list", "nobody"])).stderr,
    /there is no kept list "nobody", and no file/,
  );
  const edited = await runCommand(rig, [
    "campaign",
    "edit",
    "march",
    "--template",
    rig.template("Dear {{ first_name }}"),
  ]);
  assert.match(
    edited.stdout,
    /^march \(cmp_\d+\) has version 2 of its template, for all who were not handed over yet\n$/,
  );
  for (const [command, said] of [
    [["list", "import", "members", "members.csv", "--column", "points=digits"], /types: text, number, date, json/],
    [[...args, "--list", "members", "--column", "points=number"], /--column and --rejects go with a file/],
    [["list", "show", "nobody"], /There is no list "nobody"/],
  ] as const) {
    assert.match((await runCommand(rig, command)).stderr, said);
  }
});

async function draftRig(t: TestContext): Promise<Rig> {
  const database = await testDatabase(t);
  const lists = path.join(database.dataDir, "lists");
  mkdirSync(lists);
  let templates = 0;
  const write = (name: string, content: string): string => {
    writeFileSync(path.join(lists, name), content);
    return path.join(lists, name);
  };
  const template = (text: string, yaml = "from: News <news@example.com>\nsubject: Hello\n"): string => {
    const folder = path.join(database.dataDir, `template${++templates}`);
    mkdirSync(folder);
    writeFileSync(path.join(folder, "template.yaml"), yaml);
    writeFileSync(path.join(folder, "body.txt"), text);
    return folder;
  };
  return {
    ...database,
    write,
    template,
    async keep(name, content) {
      const file = write(`${name}.csv`, content);
      await importKeptList(database.pool, { name, file, onRejected: async () => {}, onProgress() {} });
    },
    create: (wish = {}) =>
      createDraft(database.pool, {
        name: "march",
        lane: "bulk",
        list: { kept: "members" },
        template: wish.template ?? { named: template("Hello {{ first_name }}") },
        unsubscribe: "offered",
        ...wish,
      }),
  };
}

function createdOf(answer: Awaited<ReturnType<typeof createDraft>>): DraftCreated {
  assert.ok(answer.kind === "created", JSON.stringify(answer));
  return answer;
}

function refusalOf(answer: Awaited<ReturnType<typeof createDraft>>): string {
  assert.ok(answer.kind === "refused", JSON.stringify(answer));
  return `${answer.code}: ${answer.problems.join("\n")}`;
}
