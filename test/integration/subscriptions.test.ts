// Asking for an address to be on a list, by HTTP on a real database: one mail, by the rules of entry and within its limits,
// the same answer for everybody, and mistakes of the site that are told.

import assert from "node:assert/strict";
import { test } from "node:test";
import PostalMime from "postal-mime";
import { CONFIRMATIONS_PER_DAY_MAX, pruneSubscriptions } from "../../src/subscriptions/subscription-store.ts";
import { startLane } from "../rig/lane.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";
import { assertProblem, countMail } from "./http-rig.ts";
import { goBy, mailsTo, pushTemplate, recipientsOf, startSubscriptions } from "./subscription-rig.ts";

test("the mail that arrives has the link, and behind its button the address is on the list with its data", async (t) => {
  const rig = await startSubscriptions(t);
  const sink = await startScriptedSink(t);
  await startLane(t, { database: rig, relay: sink });
  const data = {
    first_name: "Ann",
    visits: 3.5,
    born: "2000-02-29",
    tags: ["a", { b: null }],
    time_zone: "Europe/Vienna",
  };
  const template = { id: "confirm", variables: { name: "Ann" } };
  const answer = await rig.subscribe("Ann@Example.com", { data, template, language: "de" });
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.body, { object: "subscription", id: answer.body.id, state: "pending" });
  assert.match(answer.body.id, /^sbn_\d+$/);

  await sink.waitFor(() => sink.accepted.length === 1);
  const mail = await PostalMime.parse(sink.accepted[0]!.content);
  assert.deepEqual([mail.subject, mail.from?.address], ["Please confirm", "news@example.com"]);
  const [, path] = /^Hello Ann, confirm here: https:\/\/mail\.example\.com\/post(\/confirm\/\S+)$/m.exec(
    mail.text ?? "",
  )!;
  assert.deepEqual(await recipientsOf(rig), []);
  const page = await rig.confirm(rig.url + path!);
  assert.match(await page.text(), /<html lang="de".*Sie sind angemeldet/s);
  assert.deepEqual(await recipientsOf(rig), [
    {
      address: "Ann@Example.com",
      data: { email: "Ann@Example.com", ...data, locale: null },
      time_zone: "Europe/Vienna",
    },
  ]);
  const told = await rig.ask("GET", `/subscriptions/${answer.body.id}`, { key: rig.siteKey });
  assert.deepEqual(
    [told.status, told.body.state, told.body.list, told.body.email, told.body.template],
    [200, "confirmed", "weekly-news", "Ann@Example.com", "confirm@1"],
  );
  assert.ok(Date.parse(told.body.confirmed_at) >= Date.parse(told.body.created_at));
});

test("asked for again within ten minutes, in whatever case, no second mail goes; then at most three a day", async (t) => {
  const rig = await startSubscriptions(t);
  const first = await rig.subscribe("ann@example.com", { data: { first_name: "Ann" } });
  const again = await rig.subscribe("ANN@example.com", { data: { first_name: "Eve" } });
  assert.deepEqual(again.body, first.body);
  assert.equal(await mailsTo(rig, "ann@example.com"), 1);
  for (let mails = 2; mails <= CONFIRMATIONS_PER_DAY_MAX + 1; mails++) {
    await goBy(rig, "11 minutes");
    assert.deepEqual((await rig.subscribe("ann@example.com", { data: { first_name: "Anna" } })).body, first.body);
    assert.equal(await mailsTo(rig, "ann@example.com"), Math.min(mails, CONFIRMATIONS_PER_DAY_MAX));
  }
  // What the link confirms is what the latest mail was sent for.
  await rig.confirm(await rig.linkTo("ann@example.com"));
  assert.equal((await recipientsOf(rig))[0]!.data["first_name"], "Anna");
  await goBy(rig, "1 day");
  await rig.subscribe("bob@example.com");
  assert.equal(await mailsTo(rig, "bob@example.com"), 1);
});

test("of twenty that ask at the same moment one mail goes, and all are answered the same", async (t) => {
  const rig = await startSubscriptions(t);
  const answers = await Promise.all(Array.from({ length: 20 }, () => rig.subscribe("ann@example.com")));
  assert.deepEqual(new Set(answers.map(({ status, body }) => `${status} ${JSON.stringify(body)}`)).size, 1);
  assert.equal(answers[0]!.status, 200);
  assert.equal(await mailsTo(rig, "ann@example.com"), 1);
});

test("nobody finds out whether an address is on the list or suppressed", async (t) => {
  const rig = await startSubscriptions(t);
  await rig.subscribe("on@example.com");
  await rig.confirm(await rig.linkTo("on@example.com"));
  await goBy(rig, "1 hour");
  await rig.pool.query(
    `INSERT INTO postlane.suppression (hash, scope, address, reason, source)
     VALUES (postlane.suppression_hash('gone@example.com'), 'everything', 'gone@example.com', 'bounce', 'msg_1')`,
  );
  for (const address of ["on@example.com", "gone@example.com", "new@example.com"]) {
    const answer = await rig.subscribe(address);
    assert.deepEqual(
      { status: answer.status, ...answer.body, id: "" },
      { status: 200, object: "subscription", id: "", state: "pending" },
    );
    assert.deepEqual((await rig.subscribe(address)).body, answer.body, "the second time");
    const told = await rig.ask("GET", `/subscriptions/${answer.body.id}`, { key: rig.siteKey });
    assert.equal(told.body.state, "pending");
    // Mistakes are found for all alike.
    assertProblem(await rig.subscribe(address, { lane: "no-lane" }), {
      status: 422,
      code: "no_such_lane",
      field: "lane",
    });
  }
  assert.equal(await mailsTo(rig, "on@example.com"), 1, "who is on the list gets no second mail");
  const { rows } = await rig.pool.query(
    `SELECT m.recipient, q.message_id IS NOT NULL AS waits FROM postlane.message AS m
     LEFT JOIN postlane.queue AS q ON q.message_id = m.id ORDER BY m.id`,
  );
  assert.deepEqual(rows, [
    { recipient: "on@example.com", waits: true },
    { recipient: "gone@example.com", waits: false },
    { recipient: "new@example.com", waits: true },
  ]);
});

test("an idempotency key names one request", async (t) => {
  const rig = await startSubscriptions(t);
  const key = { "Idempotency-Key": "form-4711" };
  const first = await rig.subscribe("ann@example.com", {}, key);
  await goBy(rig, "11 minutes");
  const again = await rig.subscribe("ann@example.com", {}, key);
  assert.deepEqual(again.body, first.body);
  assert.equal(again.headers.get("idempotent-replayed"), "true");
  assert.equal(await mailsTo(rig, "ann@example.com"), 1);
  const other = await rig.subscribe("bob@example.com", {}, key);
  assertProblem(other, { status: 422, code: "key_used_for_other", field: "idempotency_key" });
  const email = { to: "ann@example.com", subject: "Hello", text: "Hello" };
  const asEmail = await rig.ask("POST", "/emails", { key: rig.siteKey, body: email, headers: key });
  assertProblem(asEmail, { status: 422, code: "key_used_for_other", field: "idempotency_key" });
  await goBy(rig, "8 days");
  await pruneSubscriptions(rig.pool, 100);
  assert.deepEqual((await rig.subscribe("ann@example.com", {}, key)).body, first.body);
  assert.equal(
    (await rig.pool.query("SELECT FROM postlane.subscription")).rowCount,
    0,
    "nothing is kept of a repetition",
  );
});

test("what the site gets wrong is told, and nothing is kept of it", async (t) => {
  const rig = await startSubscriptions(t);
  await pushTemplate(rig, "no-link", { subject: "Hello", text: "Hello" });
  await pushTemplate(rig, "perhaps", { subject: "Hello", text: "{% if name %}{{ confirm_url }}{% endif %}" });
  await pushTemplate(rig, "needs", { subject: "Hello {{ name }}", text: "{{ confirm_url }}" });
  const bad = "bad_field";
  const cases: readonly (readonly [more: object, code: string, field: string, words: RegExp])[] = [
    [{ list: "none" }, bad, "list", /no list "none".*weekly-news/],
    [{ email: "ann" }, "bad_address", "email", /no @/],
    [{ email: "Ann <ann@example.com>" }, "bad_address", "email", /not an address/],
    [{ data: { shoe: 1 } }, bad, "data", /no column "shoe".*first_name, visits/],
    [{ data: { email: "eve@example.com" } }, bad, "data", /is the address/],
    [{ data: { visits: "many" } }, bad, "data", /visits: "many" is not a number/],
    [{ data: { first_name: 7 } }, bad, "data", /first_name: a text is a JSON string/],
    [{ data: { born: "2001-02-29" } }, bad, "data", /born: .* is not a date/],
    [{ data: { time_zone: "Mars" } }, bad, "data", /not a time zone/],
    [{ data: { first_name: "x".repeat(65_536) } }, "limit_exceeded", "data", /at most 65536/],
    [{ language: "no such" }, bad, "language", /not a locale/],
    [{ template: { id: "nothing" } }, bad, "template", /no template "nothing"/],
    [{ template: { id: "no-link" } }, bad, "template", /does not print \{\{ confirm_url \}\}/],
    [{ template: { id: "perhaps" } }, bad, "template", /does not print/],
    [{ template: { id: "needs" } }, bad, "template", /variables that are missing: name/],
    [{ template: { id: "confirm", variables: { confirm_url: "https://evil.example" } } }, bad, "template", /not yours/],
    [{ lane: "bulk" }, bad, "lane", /is for bulk mail/],
    [{ colour: 1 }, bad, "colour", /no field "colour"/],
  ];
  for (const [more, code, field, words] of cases) {
    const answer = await rig.subscribe("ann@example.com", more);
    assertProblem(answer, { status: 422, code, field });
    assert.match(answer.body.message, words);
  }
  assert.equal((await rig.pool.query("SELECT FROM postlane.subscription")).rowCount, 0);
  assert.deepEqual(await countMail(rig), { submissions: 0, messages: 0 });
});

test("a key may do what it may do with emails, and of scope send it sees its own alone", async (t) => {
  const rig = await startSubscriptions(t);
  const { id } = (await rig.subscribe("ann@example.com")).body;
  const body = { list: "weekly-news", email: "bob@example.com", template: { id: "confirm" } };
  const asked = async (rights: object, more: object = {}) =>
    await rig.ask("POST", "/subscriptions", { key: await rig.key(rights), body: { ...body, ...more } });
  assertProblem(await asked({ scope: "read" }), { status: 403, code: "scope_not_allowed" });
  assertProblem(await asked({ lanes: ["bulk"] }), { status: 403, code: "lane_not_allowed", field: "lane" });
  const domains = { from_domains: ["example.com"] };
  assertProblem(await asked(domains), { status: 403, code: "from_not_allowed", field: "from" });
  assertProblem(await asked(domains, { from: "x@evil.example" }), {
    status: 403,
    code: "from_not_allowed",
    field: "from",
  });
  assert.equal((await asked(domains, { from: "Shop <shop@example.com>" })).status, 200);

  const read = async (rights: object, of: string = id) =>
    await rig.ask("GET", `/subscriptions/${of}`, { key: await rig.key(rights) });
  assert.equal((await read({ scope: "read" })).body.email, "ann@example.com");
  const notFound = { status: 404, code: "subscription_not_found" };
  assertProblem(await read({}), notFound);
  assertProblem(await read({ scope: "read" }, "sbn_999"), notFound);
  assertProblem(await read({ scope: "read" }, "sub_1"), notFound);
  assertProblem(await rig.ask("GET", `/subscriptions/${id}`), { status: 401, code: "key_missing" });
});

test("without a public address there is no link, and that is said", async (t) => {
  const rig = await startSubscriptions(t, { POSTLANE_PUBLIC_URL: "" });
  assertProblem(await rig.subscribe("ann@example.com"), { status: 409, code: "public_url_missing" });
});

test("a session that dies in the middle leaves neither what is pending nor the mail", async (t) => {
  const rig = await startSubscriptions(t);
  await rig.pool.query(
    `CREATE FUNCTION public.die() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
     CREATE TRIGGER die BEFORE INSERT ON postlane.submission FOR EACH ROW EXECUTE FUNCTION public.die()`,
  );
  assertProblem(await rig.subscribe("ann@example.com"), { status: 503, code: "database_silent" });
  assert.equal((await rig.pool.query("SELECT FROM postlane.subscription")).rowCount, 0);
  assert.deepEqual(await countMail(rig), { submissions: 0, messages: 0 });
  await rig.pool.query("DROP TRIGGER die ON postlane.submission");
  assert.equal((await rig.subscribe("ann@example.com")).status, 200);
  assert.equal(await mailsTo(rig, "ann@example.com"), 1);
});
