// Templates from the folder of the guide to the relay: pushed by the command line and by HTTP, named by Resend's SDK, our
// client and SQL, filled in by a dispatcher. Versions stay as they are; what cannot be filled in is held alone.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import PostalMime, { type Email } from "postal-mime";
import { Resend } from "resend";
import { createClient } from "../../src/client/client.ts";
import type { MessageId } from "../../src/mail/ids.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import type { TemplateSource } from "../../src/templates/compiled-template.ts";
import { prepareTemplate } from "../../src/templates/prepare-template.ts";
import { pushVersionOnce } from "../../src/templates/template-store.ts";
import { startLane } from "../rig/lane.ts";
import { enqueue, storyOf, untilEmpty, untilState } from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { startQuietUpkeep } from "../rig/quiet-upkeep.ts";
import { startScriptedSink, type ScriptedSink } from "../rig/scripted-sink.ts";
import { jsonOf, runCommand } from "./cli-command.ts";
import { assertProblem, startHttp } from "./http-rig.ts";

const GUIDE = readFileSync(new URL("../../../docs/guides/templates.md", import.meta.url), "utf8");
const [YAML, BODY, LAYOUT, SAMPLE] = ["yaml", "html", "html", "json"].map(
  (language, place, all) => blocksOf(language)[all.slice(0, place).filter((one) => one === language).length]!,
);
const VARIABLES = JSON.parse(SAMPLE!) as Readonly<Record<string, unknown>>;

function blocksOf(language: string): readonly string[] {
  return [...GUIDE.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, "g"))].map(([, text]) => text!);
}

function guideFolder({ dataDir }: TestDatabase, name = "receipt"): string {
  const dir = path.join(dataDir, name);
  mkdirSync(path.join(dir, "partials"), { recursive: true });
  writeFileSync(path.join(dir, "template.yaml"), YAML!);
  writeFileSync(path.join(dir, "body.html"), BODY!);
  writeFileSync(path.join(dir, "partials", "base.html"), LAYOUT!);
  writeFileSync(path.join(dataDir, "sample.json"), SAMPLE!);
  return dir;
}

async function push({ pool }: TestDatabase, name: string, source: TemplateSource): Promise<string> {
  const prepared = prepareTemplate(source);
  if (prepared.kind === "bad") assert.fail(JSON.stringify(prepared.problems));
  const row = await inTransaction(pool, (client) => pushVersionOnce(client, name, prepared));
  return `${row.name}@${row.version}`;
}

/** An email of nothing but its template. */
function templated(id: string, variables: object = {}, email: object = {}) {
  return { to: "ann@example.net", subject: null, text: null, template: { id, variables }, ...email };
}

async function atWork(t: TestContext, database: TestDatabase): Promise<ScriptedSink> {
  const sink = await startScriptedSink(t);
  await startLane(t, { database, relay: sink });
  startQuietUpkeep(t, database.pool);
  return sink;
}

async function mailsOf(sink: ScriptedSink): Promise<readonly Email[]> {
  return await Promise.all(sink.accepted.map(({ content }) => PostalMime.parse(content)));
}

test("the guide's folder is checked, pushed, shown and sent", async (t) => {
  const database = await testDatabase(t);
  const dir = guideFolder(database);
  const sample = path.join(database.dataDir, "sample.json");
  const checked = await jsonOf(database, ["template", "check", dir, "--variables", sample]);
  assert.deepEqual(checked, { problems: [], required: ["order.at", "order.id", "order.lines"] });
  writeFileSync(path.join(database.dataDir, "less.json"), JSON.stringify({ order: { id: 1, lines: [] } }));
  const less = await runCommand(database, [
    "template",
    "check",
    dir,
    "--variables",
    path.join(database.dataDir, "less.json"),
  ]);
  assert.equal(less.exitCode, 1);
  // As the guide shows it.
  const [, shown] = /\n {2}(body\.html:\d+:\d+: undefined variable: .*)\n/.exec(GUIDE)!;
  assert.ok(less.stderr.includes(shown!), less.stderr);

  const pushed = await jsonOf<{ id: string; is_new: boolean }>(database, ["template", "push", dir]);
  assert.deepEqual([pushed.id, pushed.is_new], ["receipt@1", true]);
  const again = await jsonOf<{ id: string; is_new: boolean }>(database, ["template", "push", dir]);
  assert.deepEqual([again.id, again.is_new], ["receipt@1", false]);
  writeFileSync(path.join(dir, "template.yaml"), YAML!.replace("Your order", "Order"));
  const next = await jsonOf<{ id: string }>(database, ["template", "push", dir]);
  assert.equal(next.id, "receipt@2");
  const { templates } = await jsonOf<{ templates: readonly { id: string }[] }>(database, ["template", "list"]);
  assert.deepEqual(
    templates.map(({ id }) => id),
    ["receipt@2"],
  );
  const filled = await runCommand(database, ["template", "show", "receipt@1", "--render", "--variables", sample]);
  assert.match(filled.stdout, /--- subject .*\nYour order 4711\n/);
  assert.match(filled.stdout, /Thank you, Ann <3\n/);
  const source = await runCommand(database, ["template", "show", "receipt"]);
  assert.match(source.stdout, /--- text .*\n\{% layout 'base' %\}/);
  const missing = await runCommand(database, ["template", "show", "receipt@9"]);
  assert.match(missing.stderr, /There is no template "receipt@9"/);

  const sink = await atWork(t, database);
  const email = templated("receipt@1", VARIABLES, {
    to: ["Ann <ann@example.net>", "bob@example.net"],
    cc: "cy@example.net",
  });
  await database.pool.query("SELECT postlane.enqueue($1)", [JSON.stringify(email)]);
  await sink.waitFor(() => sink.accepted.length === 3);
  for (const mail of await mailsOf(sink)) {
    assert.equal(mail.subject, "Your order 4711");
    assert.deepEqual(mail.from, { address: "shop@example.com", name: "Shop" });
    assert.deepEqual(
      mail.to?.map(({ address }) => address),
      ["ann@example.net", "bob@example.net"],
    );
    assert.deepEqual(
      mail.cc?.map(({ address }) => address),
      ["cy@example.net"],
    );
    assert.equal(mail.headers.find(({ key }) => key === "x-order")?.value, "4711");
    assert.match(mail.html!, /<body><div style="display:none[^"]*">2 things are on the way<\/div>/);
    assert.match(mail.html!, /Thank you, Ann &lt;3<\/h1>/);
    assert.match(mail.html!, /January 31, 2027 at 10:05\sAM/);
    assert.match(
      mail.text!,
      /^Thank you, Ann <3\n\nWe got .*\n\nTea €4\.50\nCups €19\.00\n\nYour order \[https:\/\/shop\.example\/orders\/4711\]\n\nShop Ltd, 1 Market Street\n+$/,
    );
  }
  assert.deepEqual(sink.breaches, []);
});

test("Resend's SDK, our client and a batch name a template; what the email says goes before it", async (t) => {
  const rig = await startHttp(t);
  const operate = await rig.key({ scope: "operate" });
  const body = {
    subject: "Hi {{ name }}",
    html: "<p>Hi {{ name }}</p>",
    from: "Desk <desk@example.com>",
    reply_to: "desk@example.com",
  };
  const made = await rig.ask("PUT", "/templates/hello", { key: operate, body });
  assert.deepEqual([made.status, made.body.id, made.body.is_new, made.body.required], [200, "hello@1", true, ["name"]]);
  const key = await rig.key();
  const resend = new Resend(key, { baseUrl: rig.url });
  const sent = await resend.emails.send({
    to: "ann@example.net",
    template: { id: "hello", variables: { name: "<script>alert(1)</script>" } },
  });
  assert.equal(sent.error, null);
  const read = await rig.ask("GET", `/emails/${sent.data.id}`, { key });
  assert.deepEqual(read.body.template, { id: "hello@1", variables: { name: "<script>alert(1)</script>" } });
  const batch = await resend.batch.send([
    {
      to: "bob@example.net",
      subject: "Mine",
      from: "me@example.com",
      template: { id: "hello@1", variables: { name: "Bob" } },
    },
  ]);
  assert.equal(batch.error, null);
  const client = createClient({ baseUrl: rig.url, key });
  await client.send({
    to: "cy@example.net",
    template: { id: "hello", variables: { name: "Cy" } },
    headers: { "X-A": "1" },
  });

  const refused = await resend.emails.send({ to: "ann@example.net", template: { id: "hello", variables: {} } });
  assert.match(refused.error!.message, /template 'hello@1' needs variables that are missing: name/);
  const unknown = await resend.emails.send({ to: "ann@example.net", template: { id: "hallo" } });
  assert.match(unknown.error!.message, /there is no template 'hallo'.*Templates: hello/);
  const bound = await rig.key({ from_domains: ["example.com"] });
  const silent = await rig.ask("POST", "/emails", { key: bound, body: templated("hello", { name: "x" }) });
  assertProblem(silent, { status: 403, code: "from_not_allowed", field: "from" });

  const sink = await atWork(t, rig);
  await sink.waitFor(() => sink.accepted.length === 3);
  const mails = new Map((await mailsOf(sink)).map((mail) => [mail.to![0]!.address, mail]));
  assert.equal(mails.get("ann@example.net")!.html!.trim(), "<p>Hi &lt;script&gt;alert(1)&lt;/script&gt;</p>");
  assert.equal(mails.get("ann@example.net")!.text?.trim(), "Hi <script>alert(1)</script>");
  assert.equal(mails.get("ann@example.net")!.replyTo?.[0]?.address, "desk@example.com");
  assert.deepEqual(
    [mails.get("bob@example.net")!.subject, mails.get("bob@example.net")!.from?.address],
    ["Mine", "me@example.com"],
  );
  assert.equal(mails.get("cy@example.net")!.subject, "Hi Cy");
});

test("HTTP: what is wrong is told with its place, scopes hold, and versions are listed and read", async (t) => {
  const rig = await startHttp(t);
  const operate = await rig.key({ scope: "operate" });
  const put = (name: string, body: object, key = operate) => rig.ask("PUT", `/templates/${name}`, { key, body });
  const bad = await put("a", { subject: "s", html: "<p>\n{{ x | nope }}", headers: { Bcc: "x" } });
  assertProblem(bad, { status: 422, code: "template_refused" });
  assert.match(bad.body.detail, /headers: "Bcc": this header is written by Postlane/);
  const parse = await put("a", { subject: "s", html: "<p>\n{{ x | nope }}" });
  assert.match(parse.body.detail, /^body\.html:2:1: undefined filter: nope$/);
  assertProblem(await put("a", { subject: "s", text: "x", nope: 1 }), {
    status: 422,
    code: "bad_field",
    field: "nope",
  });
  assertProblem(await put("a", { text: "x" }), { status: 422, code: "bad_field", field: "subject" });
  assertProblem(await put("a%20b", { subject: "s", text: "x" }), { status: 400, code: "bad_parameter" });
  assertProblem(await put("a", { subject: "s", text: "x" }, await rig.key()), {
    status: 403,
    code: "scope_not_allowed",
  });
  for (const [name, text] of [
    ["a", "1"],
    ["a", "2"],
    ["b", "1"],
  ] as const)
    assert.equal((await put(name, { subject: "s", text, html: null })).status, 200);
  const read = await rig.key({ scope: "read" });
  const page = await rig.ask("GET", "/templates?limit=1", { key: read });
  assert.deepEqual([page.body.has_more, page.body.data.map(({ id }: { id: string }) => id)], [true, ["a@2"]]);
  const rest = await rig.ask("GET", "/templates?after=a", { key: read });
  assert.deepEqual([rest.body.has_more, rest.body.data.map(({ id }: { id: string }) => id)], [false, ["b@1"]]);
  const first = await rig.ask("GET", "/templates/a?version=1", { key: read });
  assert.deepEqual([first.body.id, first.body.source.text, first.body.source.partials], ["a@1", "1", {}]);
  assertProblem(await rig.ask("GET", "/templates/a?version=3", { key: read }), {
    status: 404,
    code: "template_not_found",
  });
  assertProblem(await rig.ask("GET", "/templates/a?version=x", { key: read }), { status: 400, code: "bad_parameter" });
});

test("an email goes out with the version of the moment it was accepted", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  assert.equal(await push(database, "note", { subject: "old", text: "{{ a | default: 'old' }}" }), "note@1");
  await enqueue(pool, templated("note", {}, { to: "first@example.net" }));
  assert.equal(await push(database, "note", { subject: "new", text: "{{ a | default: 'new' }}" }), "note@2");
  await enqueue(pool, templated("note", {}, { to: "second@example.net" }));
  await enqueue(pool, templated("note@1", { a: "A" }, { to: "third@example.net" }));
  // What went before comes back as a version of its own.
  assert.equal(await push(database, "note", { subject: "old", text: "{{ a | default: 'old' }}" }), "note@3");
  const sink = await atWork(t, database);
  await untilEmpty(pool);
  const told = (await mailsOf(sink)).map(({ to, subject, text }) => [to![0]!.address, subject, text!.trim()].join(" "));
  assert.deepEqual(told.toSorted(), [
    "first@example.net old old",
    "second@example.net new new",
    "third@example.net old A",
  ]);
});

test("pushes at the same time make versions without a gap, and never an error", async (t) => {
  const database = await testDatabase(t);
  const ids = await Promise.all(
    Array.from({ length: 24 }, (_, n) => push(database, "busy", { subject: "s", text: `text ${n % 6}` })),
  );
  const { rows } = await database.pool.query<{ version: number }>(
    "SELECT version FROM postlane.template ORDER BY version",
  );
  assert.deepEqual(
    rows.map(({ version }) => version),
    rows.map((_, n) => n + 1),
  );
  assert.ok(rows.length >= 6 && ids.every((id) => Number(id.slice("busy@".length)) <= rows.length));
  const same = await Promise.all(Array.from({ length: 8 }, () => push(database, "same", { subject: "s", text: "x" })));
  assert.deepEqual(new Set(same), new Set(["same@1"]));
});

test("what cannot be filled in is held alone, with its place, and the lane goes on", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  await push(database, "line", { subject: "To {{ name }}", text: "x", headers: { "X-Name": "{{ order }}" } });
  await push(database, "cost", {
    subject: "s",
    text: "\n {{ price | format_currency: 'EUR' }}{% if a %}{{ b.c }}{% endif %}",
  });
  await push(database, "loop", {
    subject: "s",
    text: "a\n{% for i in (1..n) %}{% for j in (1..n) %}{% for k in (1..n) %}{% endfor %}{% endfor %}{% endfor %}",
  });
  const sink = await atWork(t, database);
  const broken: readonly (readonly [object, RegExp])[] = [
    [templated("line", { name: "a\r\nBcc: x@example.net", order: 1 }), /Subject.*U\+000D/],
    [templated("line", { name: "a", order: "1\nBcc: x@example.net" }), /X-Name.*U\+000A/],
    [templated("cost", { price: "free" }), /cost@1 body\.txt:2:2: format_currency: "free" is not a number/],
    [templated("cost", { price: 1, a: true }), /cost@1 body\.txt:2:\d+: undefined variable: b/],
    [templated("loop", { n: 4000 }), /loop@1 body\.txt:2:\d+: .*limit exceeded/],
  ];
  const held: MessageId[] = [];
  for (const [email] of broken) held.push(await enqueue(pool, email as { readonly to: string }));
  for (let n = 0; n < 20; n++) await enqueue(pool, templated("cost", { price: n }, { to: `n${n}@example.net` }));
  for (const [place, id] of held.entries()) {
    await untilState(pool, id, "held");
    assert.match((await storyOf(pool, id)).at(-1)!.reply!, broken[place]![1]);
  }
  await sink.waitFor(() => sink.accepted.length === 20);
  assert.ok(sink.messages.every(({ content }) => !content.includes("Bcc")));
});

test("a campaign takes a pushed template, and fills in headers, locale and partials for each recipient", async (t) => {
  const database = await testDatabase(t);
  await push(database, "news", {
    subject: "{{ n | plural: one: '# thing', other: '# things' }}",
    headers: { "X-For": "{{ name }}" },
    text: "{% render 'sum', n: n %}",
    partials: { "sum.txt": "{{ name }}: {{ n | format_number: digits: 1 }}" },
  });
  writeFileSync(
    path.join(database.dataDir, "list.csv"),
    "email,name,n,locale\nann@example.net,Änn,1,en\nbob@example.net,Bob,1234.5,de_DE\n",
  );
  await jsonOf(database, ["campaign", "send", "--list", "list.csv", "--template", "news", "--lane", "transactional"]);
  const sink = await atWork(t, database);
  await sink.waitFor(() => sink.accepted.length === 2);
  const told = (await mailsOf(sink)).map(({ subject, text, headers }) => [
    subject,
    text!.trim(),
    headers.find(({ key }) => key === "x-for")?.value,
  ]);
  assert.deepEqual(
    told.toSorted(([, one], [, other]) => (one! < other! ? -1 : 1)),
    [
      ["1.234,5 things", "Bob: 1.234,5", "Bob"],
      ["1 thing", "Änn: 1.0", "=?utf-8?Q?=C3=84nn?="],
    ],
  );
});
