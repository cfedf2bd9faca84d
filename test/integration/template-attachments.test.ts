// Attachments and images of templates, from a folder and by HTTP, through the queue and a dispatcher to a relay: in each
// mail of a campaign, and in front of an email's own; stored once; and another picture is another version.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import PostalMime, { type Email } from "postal-mime";
import { feedCampaigns } from "../rig/campaign-list.ts";
import { startLane } from "../rig/lane.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { startQuietUpkeep } from "../rig/quiet-upkeep.ts";
import { startScriptedSink, type ScriptedSink } from "../rig/scripted-sink.ts";
import { readAttachments } from "../rig/read-attachments.ts";
import { jsonOf, runCommand } from "./cli-command.ts";
import { assertProblem, startHttp } from "./http-rig.ts";

const LOGO = Buffer.from("89504e470d0a1a0a", "hex");
const OTHER_LOGO = Buffer.from("89504e470d0a1a0b", "hex");
const TERMS = Buffer.from(Uint8Array.from({ length: 40_000 }, (_, at) => at * 131 + (at >> 8)));
const SHOWN = ["logo.png", "image/png", "inline", "<logo>", LOGO.toString("hex")];
const ATTACHED = ["AGB für alle.pdf", "application/pdf", "attachment", undefined, TERMS.toString("hex")];

function folder({ dataDir }: TestDatabase, name: string): string {
  const dir = path.join(dataDir, name);
  mkdirSync(path.join(dir, "attachments"), { recursive: true });
  writeFileSync(
    path.join(dir, "template.yaml"),
    'from: Shop <shop@example.com>\nsubject: "Hi {{ name }}"\nattachments:\n' +
      "  - file: attachments/logo.png\n    content_id: logo\n" +
      "  - file: attachments/terms.pdf\n    filename: AGB für alle.pdf\n",
  );
  writeFileSync(path.join(dir, "body.html"), '<img src="cid:logo" alt="Shop"><p>Hello {{ name }}');
  writeFileSync(path.join(dir, "attachments", "logo.png"), LOGO);
  writeFileSync(path.join(dir, "attachments", "terms.pdf"), TERMS);
  return dir;
}

const send = (template: string, ...more: readonly string[]): readonly string[] =>
  ["campaign", "send", "--list", "list.csv", "--template", template, "--lane", "transactional"].concat(more);

test("a campaign's mails bring the template's image and attachment, which are stored once", async (t) => {
  const database = await testDatabase(t);
  const dir = folder(database, "news");
  const names = ["Ann", "Bob", "Cy"];
  const rows = names.map((name) => `${name.toLowerCase()}@example.net,${name}\n`).join("");
  writeFileSync(path.join(database.dataDir, "list.csv"), `email,name\n${rows}`);
  await jsonOf(database, send("news"));
  await feedCampaigns(database.pool);
  assert.deepEqual(await stored(database), [LOGO, TERMS]);

  const sink = await startScriptedSink(t);
  await startLane(t, { database, relay: sink });
  startQuietUpkeep(t, database.pool);
  await sink.waitFor(() => sink.accepted.length === names.length);
  const mails = await mailsOf(sink);
  assert.deepEqual(new Set(mails.map(({ subject }) => subject)), new Set(["Hi Ann", "Hi Bob", "Hi Cy"]));
  for (const mail of mails) {
    assert.match(mail.html!, new RegExp(`<p>Hello ${mail.subject!.slice(3)}`));
    assert.match(mail.text!, /Hello/);
    assert.deepEqual(readAttachments(mail), [SHOWN, ATTACHED]);
  }
  for (const { content } of sink.accepted) {
    const kinds = [...content.toString("latin1").matchAll(/^Content-Type: multipart\/(\w+)/gm)].map(([, kind]) => kind);
    assert.deepEqual(kinds, ["mixed", "related", "alternative"]);
  }
  assert.deepEqual(sink.breaches, []);

  // The same again is the same campaign; another picture of the same size is not.
  await jsonOf(database, send("news"));
  writeFileSync(path.join(dir, "attachments", "logo.png"), OTHER_LOGO);
  const refused = await runCommand(database, send("news"));
  assert.notEqual(refused.exitCode, 0);
  assert.match(refused.stderr, /begun with another template/);
  assert.equal((await stored(database)).length, 2);
});

test("a pushed folder is a campaign's template, too, and only another picture is another version", async (t) => {
  const database = await testDatabase(t);
  const dir = folder(database, "welcome");
  const push = async (): Promise<unknown> => {
    const { id, is_new } = await jsonOf<{ id: string; is_new: boolean }>(database, ["template", "push", dir]);
    return [id, is_new];
  };
  assert.deepEqual(await push(), ["welcome@1", true]);
  assert.deepEqual(await push(), ["welcome@1", false]);
  const shown = await runCommand(database, ["template", "show", "welcome"]);
  assert.match(shown.stdout, /^--- attachment: logo\.png \(8 bytes, cid:logo\)$/m);
  assert.match(shown.stdout, /^--- attachment: AGB für alle\.pdf \(40,?000 bytes\)$/m);
  writeFileSync(path.join(dir, "attachments", "logo.png"), OTHER_LOGO);
  assert.deepEqual(await push(), ["welcome@2", true]);
  assert.deepEqual(await stored(database), [LOGO, TERMS, OTHER_LOGO, TERMS]);

  writeFileSync(path.join(database.dataDir, "list.csv"), "email,name\nann@example.net,Ann\n");
  await jsonOf(database, send("welcome@1", "--name", "first"));
  await feedCampaigns(database.pool);
  const sink = await startScriptedSink(t);
  await startLane(t, { database, relay: sink });
  startQuietUpkeep(t, database.pool);
  await sink.waitFor(() => sink.accepted.length === 1);
  assert.deepEqual((await mailsOf(sink)).map(readAttachments), [[SHOWN, ATTACHED]]);
});

test("by HTTP: an email brings its template's attachments, and then its own", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key();
  const operator = await rig.key({ scope: "operate" });
  const attachments = [
    { filename: "logo.png", content: LOGO.toString("base64"), content_id: "logo" },
    { filename: "terms.txt", content: "", content_type: null },
  ];
  const template = { subject: "Hi", html: '<img src="cid:logo">', attachments };
  const push = async (body: object) => await rig.ask("PUT", "/templates/hello", { key: operator, body });
  assert.deepEqual((await push(template)).body.is_new, true);
  assert.deepEqual((await push(template)).body.is_new, false);
  const other = [{ ...attachments[0], content: OTHER_LOGO.toString("base64") }, attachments[1]];
  assert.deepEqual((await push({ ...template, attachments: other })).body.version, 2);
  assert.deepEqual((await push(template)).body.version, 3);
  const told = await rig.ask("GET", "/templates/hello", { key: operator });
  assert.deepEqual(told.body.source.attachments, [
    { filename: "logo.png", content_type: null, content_id: "logo", bytes: 8 },
    { filename: "terms.txt", content_type: null, content_id: null, bytes: 0 },
  ]);

  const own = { filename: "AGB für alle.pdf", content: TERMS.toString("base64") };
  const ownLogo = { filename: "xmas.png", content: OTHER_LOGO.toString("base64"), content_id: "logo" };
  for (const [n, given] of [[own], [ownLogo], []].entries()) {
    const body = { to: `n${n}@example.net`, template: { id: "hello" }, attachments: given };
    assert.equal((await rig.ask("POST", "/emails", { key, body })).status, 200);
  }
  const sink = await startScriptedSink(t);
  await startLane(t, { database: rig, relay: sink });
  await sink.waitFor(() => sink.accepted.length === 3);
  const found = new Map(
    (await mailsOf(sink)).map((mail) => [
      mail.to![0]!.address,
      readAttachments(mail).map((each) => [each[0], each[4]]),
    ]),
  );
  const [logo, terms] = [
    ["logo.png", LOGO.toString("hex")],
    ["terms.txt", ""],
  ];
  assert.deepEqual(found.get("n0@example.net"), [logo, terms, ["AGB für alle.pdf", TERMS.toString("hex")]]);
  assert.deepEqual(found.get("n1@example.net"), [["xmas.png", OTHER_LOGO.toString("hex")], terms]);
  assert.deepEqual(found.get("n2@example.net"), [logo, terms]);
});

test("by HTTP: what is no attachment is refused, and nothing is saved", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "operate" });
  const push = async (attachment: object) =>
    await rig.ask("PUT", "/templates/hello", {
      key,
      body: { subject: "Hi", text: "x", attachments: [attachment] },
    });
  for (const content of ["AAA", "A===", "AA-_", "AA=A", "é"]) {
    const { body } = await push({ filename: "a.bin", content });
    assert.deepEqual([body.code, body.detail], ["bad_field", "attachments[0].content: not base64"], content);
  }
  assertProblem(await push({ filename: "a.bin", content: "", path: "/etc/passwd" }), {
    status: 422,
    code: "not_supported",
    field: "attachments",
  });
  const named = await push({ filename: "a\nb", content: "" });
  assertProblem(named, { status: 422, code: "template_refused" });
  assert.match(named.body.detail, /attachments\[0\]\.filename/);
  const large = await push({ filename: "a.bin", content: Buffer.alloc(10 * 1024 * 1024 + 1).toString("base64") });
  assertProblem(large, { status: 422, code: "template_refused" });
  assert.match(large.body.detail, /more than 10485760 bytes/);
  const { rows } = await rig.pool.query("SELECT (SELECT count(*) FROM postlane.attachment) AS n");
  assert.equal(rows[0].n, 0);
});

async function mailsOf(sink: ScriptedSink): Promise<readonly Email[]> {
  return await Promise.all(
    sink.accepted.map(({ content }) => PostalMime.parse(content, { attachmentEncoding: "arraybuffer" })),
  );
}

async function stored({ pool }: TestDatabase): Promise<readonly Buffer[]> {
  const { rows } = await pool.query("SELECT octets FROM postlane.attachment ORDER BY content_id, place");
  return rows.map(({ octets }) => octets);
}
