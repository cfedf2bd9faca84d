// From a command to the mail and back: the headers of a list in captured mail of every kind, the address in them at work,
// by HTTP and by mail, and campaigns that are refused since nobody could unsubscribe.

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { simpleParser } from "mailparser";
import { createTransport } from "nodemailer";
import { sendCampaign, type CampaignWish } from "../../src/campaigns/send-campaign.ts";
import { openReturnsDoor } from "../../src/doors/returns/returns-door.ts";
import { silentLog } from "../../src/platform/log.ts";
import { keepReturn } from "../../src/returns/return-store.ts";
import { until } from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { judgementsOf, judgeOf, RETURNS_DOMAIN, takeAll } from "../rig/returned-mail.ts";
import { newsletter, suppressionsIn } from "../rig/unsubscribe.ts";
import { endWithTest, enqueue, jsonOf, lineOf, runCommand, startCommand } from "./cli-command.ts";

const PUBLIC = `public_url: https://mail.example.com/post\nreturns: { domain: ${RETURNS_DOMAIN} }\n`;
const TO_A_RELAY =
  "outlets: { relay: { type: smtp, hosts: ['127.0.0.1:1'] } }\nlanes: { bulk: { outlets: [relay] } }\n";
const SEND = ["campaign", "send", "--list", "Members 2027.csv", "--template", "newsletter"];

function configure({ dataDir }: TestDatabase, text: string, body = "Hello {{ first_name }}!"): void {
  writeFileSync(
    path.join(dataDir, "postlane.yaml"),
    `data_dir: ${dataDir}\nlisten: { http: "127.0.0.1:0", smtp: "127.0.0.1:0", returns: off }\n${text}`,
  );
  mkdirSync(path.join(dataDir, "newsletter"), { recursive: true });
  writeFileSync(
    path.join(dataDir, "newsletter", "template.yaml"),
    'from: "News <news@news.example>"\nsubject: "News for {{ first_name }}"\n',
  );
  writeFileSync(path.join(dataDir, "newsletter", "body.txt"), `${body}\n`);
  writeFileSync(path.join(dataDir, "Members 2027.csv"), "email,first_name\nann@example.com,Ann\n");
}

/** By recipient, as they were handed over; undefined: not all are there yet. */
function capturedIn({ dataDir }: TestDatabase, count: number): ReadonlyMap<string, string> | undefined {
  const folder = path.join(dataDir, "capture", "default", "new");
  const files = existsSync(folder) ? readdirSync(folder) : [];
  if (files.length < count) return undefined;
  const raws = files.map((file) => readFileSync(path.join(folder, file), "latin1"));
  return new Map(raws.map((raw) => [/^Delivered-To: (.*)\r$/m.exec(raw)?.[1] ?? "", raw]));
}

/** As the command asks, without its process. */
async function send({ pool, dataDir }: TestDatabase, wish: Partial<CampaignWish>): Promise<readonly string[]> {
  const file = path.join(dataDir, "Members 2027.csv");
  const answer = await sendCampaign(pool, {
    file,
    templateDir: path.join(dataDir, "newsletter"),
    lane: "bulk",
    ...wish,
  });
  return answer.kind === "refused" ? answer.problems : [];
}

test("mail of a bulk lane says where to unsubscribe and which list it is, unless it says so itself", async (t) => {
  const database = await testDatabase(t);
  configure(database, PUBLIC, "Hello {{ first_name }}! Unsubscribe: {{ unsubscribe_url }}");
  const sent = await jsonOf<{ accepted: number }>(database, SEND);
  assert.equal(sent.accepted, 1);
  const bulk = { lane: "bulk", from: "Shop <shop@shop.example>" };
  await enqueue(database, { ...bulk, to: "list@example.com", list: "offers.2027" });
  await enqueue(database, { ...bulk, to: "none@example.com" });
  const own = { "list-unsubscribe": "<https://shop.example/own>" };
  await enqueue(database, { ...bulk, to: "own@example.com", list: "offers", headers: own });
  await enqueue(database, { to: "order@example.com", list: "offers" });
  await acceptMail(database, "raw@example.com", "Subject: one\r\n", "offers");
  await acceptMail(
    database,
    "rawown@example.com",
    "List-Unsubscribe: <mailto:a@shop.example>\r\nSubject: one\r\n",
    "offers",
  );

  const up = startCommand(database, ["up"]);
  endWithTest(t, up);
  const read = await until("all are captured", () => capturedIn(database, 7), 20_000);
  up.kill("SIGTERM");
  await once(up, "close");

  const URL_LINE =
    /^List-Unsubscribe: <(https:\/\/mail\.example\.com\/post\/u\/([a-z2-7]{24}))>,\r\n <mailto:u\+\2@returns\.news\.example\?subject=unsubscribe>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r$/m;
  const rawOf = (name: string): string => read.get(`${name}@example.com`)!;
  for (const name of ["ann", "list", "none", "raw"]) assert.match(rawOf(name), URL_LINE, name);
  const [, url] = URL_LINE.exec(rawOf("ann"))!;
  assert.equal((await simpleParser(rawOf("ann"))).text?.trim(), `Hello Ann! Unsubscribe: ${url}`);
  const idOf = (name: string) => /^List-Id: (.*)\r$/m.exec(rawOf(name))?.[1];
  assert.deepEqual(["ann", "list", "none", "raw", "own", "rawown", "order"].map(idOf), [
    "Members-2027 <Members-2027.news.example>",
    '"offers.2027" <offers.2027.shop.example>',
    undefined,
    "offers <offers.bounces.example>",
    "offers <offers.shop.example>",
    "offers <offers.bounces.example>",
    undefined,
  ]);
  assert.equal(rawOf("own").match(/list-unsubscribe/gi)?.length, 1);
  assert.equal(rawOf("rawown").match(/list-unsubscribe/gi)?.length, 1);
  assert.doesNotMatch(rawOf("order"), /list-/i);
});

test("a bulk campaign that nobody could unsubscribe from does not begin, unless a person says why", async (t) => {
  const database = await testDatabase(t);
  configure(database, TO_A_RELAY);
  const refused = await runCommand(database, SEND);
  assert.equal(refused.exitCode, 1);
  assert.match(
    refused.stderr,
    /nothing was queued:\n {2}nobody could unsubscribe .*\n {2}set public_url .*\n.*--no-unsubscribe/,
  );
  const { rows } = await database.pool.query("SELECT FROM postlane.campaign");
  assert.equal(rows.length, 0);
  assert.match((await send(database, { unsubscribe: "missing", noUnsubscribe: " " })).join(), /wants a reason/);
  const told = await runCommand(database, [...SEND, "--no-unsubscribe", "recall of a product, by law"]);
  assert.equal(told.exitCode, 0, told.stderr);
  const status = await runCommand(database, ["campaign", "status", "Members 2027", "--no-rate"]);
  assert.match(
    status.stdout,
    /list Members-2027: running\n.*\nnobody can unsubscribe from it: recall of a product, by law\n/,
  );
  const again = { noUnsubscribe: "x", unsubscribe: "missing" } as const;
  assert.match((await send(database, { ...again, list: "others" })).join(), /goes to list Members-2027, not others/);
  assert.match((await send(database, { unsubscribe: "offered" })).join(), /was begun with --no-unsubscribe/);
  assert.deepEqual(await send(database, again), []);
  const up = startCommand(database, ["up"]);
  endWithTest(t, up);
  await lineOf(up, /^mail of lane bulk goes without one-click unsubscribe.*set public_url/);
  up.kill("SIGTERM");
  await once(up, "close");
});

test("while nothing leaves this machine a campaign begins without public_url, and that is said; a hole is refused", async (t) => {
  const database = await testDatabase(t);
  configure(database, "", "Hello! {{ unsubscribe_url }}");
  const hole = await runCommand(database, SEND);
  assert.equal(hole.exitCode, 1);
  assert.match(hole.stderr, /body\.txt:1:\d+.* there is no unsubscribe_url: set public_url/);
  assert.match((await send(database, { unsubscribe: "not_bulk" })).join(), /only mail of a bulk lane has one/);
  assert.match((await send(database, { list: "no spaces" })).join(), /"no spaces" is not the name of a list/);
  assert.deepEqual(await send(database, { unsubscribe: "offered", list: "members", name: "b" }), []);
  configure(database, "");
  const sent = await runCommand(database, SEND);
  assert.equal(sent.exitCode, 0, sent.stderr);
  assert.match(sent.stderr, /no message says where to unsubscribe, since public_url is not set; nothing leaves/);
});

test("mail to the address in List-Unsubscribe unsubscribes, by whomever, once; a forged one is only counted", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  const keep = (mail: Parameters<typeof keepReturn>[1]) => keepReturn(pool, mail);
  const listen = { host: "127.0.0.1", port: 0 };
  const door = await openReturnsDoor({ listen, domain: RETURNS_DOMAIN }, { keep, log: silentLog });
  t.after(() => door.close());
  const one = await newsletter(pool);
  const other = await newsletter(pool, { list: "", to: "bob@example.com" });
  const old = await newsletter(pool, { to: "eve@example.com" });
  await pool.query("UPDATE postlane.message SET accepted_at = now() - interval '6 years' WHERE id = $1", [old.id]);
  const transport = createTransport({ host: "127.0.0.1", port: door.port, ignoreTLS: true });
  const unsubscribe = async (token: string, from: string, text = "unsubscribe"): Promise<void> => {
    const to = [`u+${token}@${RETURNS_DOMAIN}`];
    await transport.sendMail({ envelope: { from, to }, raw: `Subject: unsubscribe\r\n\r\n${text}\r\n` });
  };
  await unsubscribe(one.token.toUpperCase(), "ann@elsewhere.example");
  await unsubscribe(one.token, "");
  await unsubscribe(other.token, "");
  await unsubscribe(`${other.token.slice(0, -1)}${other.token.endsWith("a") ? "b" : "a"}`, "bob@example.com");
  await unsubscribe(old.token, "eve@example.com");
  assert.deepEqual(await suppressionsIn(pool), [], "stored first, judged later");
  await takeAll(context);
  assert.deepEqual((await judgementsOf(pool)).map(String).toSorted(byText), [
    "forged_token",
    "repeated",
    "too_old",
    "unsubscribed",
    "unsubscribed",
  ]);
  assert.deepEqual(
    (await suppressionsIn(pool)).map(({ address, scope, list }) => `${address} ${scope} ${list}`).toSorted(byText),
    ["ann@example.com list weekly-news", "bob@example.com bulk "],
  );
  await unsubscribe(one.token, "ann@example.com");
  await takeAll(context);
  assert.equal((await suppressionsIn(pool)).length, 2);
});

function byText(one: string, other: string): number {
  return one < other ? -1 : 1;
}

async function acceptMail({ pool }: TestDatabase, to: string, fields: string, list: string): Promise<void> {
  const raw = Buffer.from(`From: shop@shop.example\r\n${fields}\r\nHello\r\n`);
  const envelope = { to: [to], lane: "bulk", mail: { sender: "back@bounces.example", list } };
  await pool.query("SELECT postlane.accept_mail($1, $2, 'smtp', 'loopback')", [JSON.stringify(envelope), raw]);
}
