// Emails over HTTP on a real database: Resend's own SDK and curl, keys and their scopes, batches, idempotency, reading,
// canceling, rescheduling.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { Resend } from "resend";
import { needs } from "../rig/needs.ts";
import { assertProblem, countMail, startHttp } from "./http-rig.ts";

const EMAIL = { to: "ann@example.net", subject: "Hello", text: "Hello Ann" };

test("Resend's SDK sends, reads, lists, reschedules and cancels against our address", async (t) => {
  const rig = await startHttp(t);
  const resend = new Resend(await rig.key(), { baseUrl: rig.url });
  const sent = await resend.emails.send({
    from: "Shop <shop@example.com>",
    to: ["Ann <ann@example.net>", "bob@example.net"],
    cc: "cy@example.net",
    bcc: ["dee@example.net"],
    replyTo: "help@example.com",
    subject: "Your order",
    html: "<p>Thank you</p>",
    text: "Thank you",
    headers: { "X-Order": "4711", "X-Postlane-Lane": "bulk", "X-Postlane-Expires-At": "2099-01-01T00:00:00Z" },
    tags: [{ name: "kind", value: "receipt" }],
    scheduledAt: "2098-01-01T00:00:00Z",
  });
  assert.equal(sent.error, null);
  assert.match(sent.data.id, /^sub_\d+$/);
  const { id } = sent.data;

  const read = await resend.emails.get(id);
  assert.equal(read.error, null);
  const { messages, created_at, ...email } = read.data as typeof read.data & { readonly messages: readonly object[] };
  assert.match(created_at, /^\d{4}-\d{2}-\d{2}T.*Z$/);
  assert.deepEqual(email, {
    object: "email",
    id,
    to: ["Ann <ann@example.net>", "bob@example.net"],
    from: "Shop <shop@example.com>",
    subject: "Your order",
    bcc: ["dee@example.net"],
    cc: ["cy@example.net"],
    reply_to: ["help@example.com"],
    last_event: "scheduled",
    scheduled_at: "2098-01-01T00:00:00.000Z",
    lane: "bulk",
    expires_at: "2099-01-01T00:00:00.000Z",
    html: "<p>Thank you</p>",
    text: "Thank you",
    headers: { "X-Order": "4711" },
    tags: [{ name: "kind", value: "receipt" }],
    template: null,
    metadata: null,
  });
  assert.deepEqual(
    messages.map((message) => ({ ...message, id: "" })),
    ["ann", "bob", "cy", "dee"].map((name) => ({ id: "", to: `${name}@example.net`, status: "scheduled", events: [] })),
  );

  const listed = await resend.emails.list({ limit: 5 });
  assert.deepEqual(
    [listed.data?.has_more, listed.data?.data.map((one) => [one.id, one.subject])],
    [false, [[id, "Your order"]]],
  );

  const updated = await resend.emails.update({ id, scheduledAt: "2098-06-01T12:00:00+02:00" });
  assert.deepEqual([updated.error, updated.data?.id], [null, id]);
  assert.equal((await resend.emails.get(id)).data?.scheduled_at, "2098-06-01T10:00:00.000Z");
  const canceled = await resend.emails.cancel(id);
  assert.deepEqual([canceled.error, canceled.data?.object, canceled.data?.id], [null, "email", id]);
  assert.equal((await resend.emails.get(id)).data?.last_event, "canceled");
});

test("Resend's SDK is told in its own words what is wrong", async (t) => {
  const rig = await startHttp(t);
  const resend = new Resend(await rig.key(), { baseUrl: rig.url });
  const refused = await resend.emails.send({
    from: "shop@example.com",
    to: "ann@nowhere",
    subject: "Hello",
    text: "Hi",
  });
  assert.equal(refused.data, null);
  assert.deepEqual([refused.error.name, refused.error.statusCode], ["validation_error", 422]);
  assert.match(refused.error.message, /'ann@nowhere' is not an address.*\. Give "local@domain"/);
  const stranger = await new Resend("re_123", { baseUrl: rig.url }).emails.send({ ...EMAIL, from: "shop@example.com" });
  assert.deepEqual([stranger.error?.name, stranger.error?.statusCode], ["invalid_api_key", 401]);
});

test("Resend's SDK sends batches: all or none by default, each for itself where it asks for that", async (t) => {
  const rig = await startHttp(t);
  const { batch } = new Resend(await rig.key(), { baseUrl: rig.url });
  const from = "shop@example.com";
  const good = [1, 2, 3].map((n) => ({ ...EMAIL, from, to: `n${n}@example.net` }));
  const all = await batch.send(good);
  assert.deepEqual([all.error, all.data?.data.length], [null, 3]);
  assert.equal(new Set(all.data?.data.map(({ id }) => id)).size, 3);
  const before = await countMail(rig);
  assert.deepEqual(before, { submissions: 3, messages: 3 });

  const mixed = [good[0]!, { ...EMAIL, from, to: "ann@nowhere" }, good[2]!];
  const strict = await batch.send(mixed);
  assert.deepEqual([strict.data, strict.error?.statusCode], [null, 422]);
  assert.match(strict.error!.message, /^emails\[1\]: .*Nothing was queued: 1 of 3 emails are refused\.$/);
  assert.deepEqual(await countMail(rig), before);

  const permissive = await batch.send(mixed, { batchValidation: "permissive" });
  assert.deepEqual([permissive.error, permissive.data?.data.length], [null, 2]);
  assert.deepEqual(
    permissive.data?.errors.map(({ index, message }) => [index, /is not an address/.test(message)]),
    [[1, true]],
  );
  assert.deepEqual(await countMail(rig), { submissions: 5, messages: 5 });
});

test("curl submits what the documents show, with fields of ours", async (t) => {
  if (!needs(t, "curl")) return;
  const rig = await startHttp(t);
  const { stdout } = await promisify(execFile)("curl", [
    "-sS",
    `${rig.url}/emails`,
    `-HAuthorization: Bearer ${await rig.key()}`,
    "-HContent-Type: application/json",
    '-HIdempotency-Key: "order-4711"',
    `-d${JSON.stringify({ ...EMAIL, lane: "bulk", metadata: { order: 4711, lines: [1, null] } })}`,
  ]);
  const { id } = JSON.parse(stdout) as { readonly id: string };
  const { rows } = await rig.pool.query(
    `SELECT s.door, s.credential, s.metadata, c.body, lane.name AS lane, k.key
     FROM postlane.submission AS s JOIN postlane.content AS c USING (id)
     JOIN postlane.message AS m ON m.submission_id = s.id JOIN postlane.lane ON lane.id = m.lane_id
     JOIN postlane.idempotency_key AS k ON k.submission_id = s.id WHERE s.id = $1`,
    [id.slice(4)],
  );
  assert.deepEqual(rows, [
    {
      door: "http",
      credential: "key:1",
      metadata: { order: 4711, lines: [1, null] },
      body: { to: ["ann@example.net"], text: "Hello Ann", subject: "Hello" },
      lane: "bulk",
      key: "order-4711",
    },
  ]);
});

test("ten tries at once with one key are one submission", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key();
  const submit = () => rig.ask("POST", "/emails", { key, body: EMAIL, headers: { "idempotency-key": "order-1" } });
  const answers = await Promise.all(Array.from({ length: 10 }, submit));
  const ids = new Set(answers.filter(({ status }) => status === 200).map(({ body }) => body.id));
  assert.equal(ids.size, 1);
  for (const answer of answers.filter(({ status }) => status !== 200)) {
    assertProblem(answer, { status: 409, code: "key_in_progress", field: "idempotency_key" });
  }
  assert.deepEqual(await countMail(rig), { submissions: 1, messages: 1 });
  const firsts = answers.filter(({ status, headers }) => status === 200 && !headers.has("idempotent-replayed"));
  assert.equal(firsts.length, 1, "all but one are told that they are repetitions");
  const again = await submit();
  assert.deepEqual([ids.has(again.body.id), again.headers.get("idempotent-replayed")], [true, "true"]);
});

test("an idempotency key is bound to its payload and its credential, and refused when it cannot be one", async (t) => {
  const rig = await startHttp(t);
  const [key, other] = [await rig.key(), await rig.key()];
  const submit = (given: { readonly key?: string; readonly body?: object; readonly as?: string }) =>
    rig.ask("POST", "/emails", {
      key: given.key ?? key,
      body: given.body ?? EMAIL,
      headers: { "idempotency-key": given.as ?? "k1" },
    });
  const first = await submit({});
  assert.equal((await submit({ as: '"k1"' })).body.id, first.body.id);
  assert.equal((await submit({ body: { ...EMAIL, cc: null, bcc: null } })).body.id, first.body.id);
  assertProblem(await submit({ body: { ...EMAIL, subject: "Other" } }), {
    status: 422,
    code: "key_used_for_other",
    field: "idempotency_key",
  });
  assert.notEqual((await submit({ key: other })).body.id, first.body.id);
  const header = { headers: { "X-Postlane-Idempotency-Key": "k2" } };
  const byHeader = await rig.ask("POST", "/emails", { key, body: { ...EMAIL, ...header } });
  assert.equal((await submit({ as: "k2", body: EMAIL })).body.id, byHeader.body.id);
  for (const as of ['"open', '"a" b', "x".repeat(257), "\u00e9"]) {
    assertProblem(await submit({ as }), { status: 400, code: "bad_idempotency_key" });
  }
  assertProblem(await submit({ as: "k3", body: { ...EMAIL, ...header } }), {
    status: 400,
    code: "bad_idempotency_key",
    field: "headers",
  });
});

test("one key names a whole batch: the same batch once, no other one, and its refused items may come later", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key();
  const emails = Array.from({ length: 5 }, (_, n) => ({ ...EMAIL, to: `n${n}@example.net` }));
  const submit = (body: object) =>
    rig.ask("POST", "/emails/batch", { key, body, headers: { "idempotency-key": "newsletter-1" } });
  const answers = await Promise.all([submit(emails), submit(emails), submit(emails)]);
  const first = answers.find(({ status }) => status === 200)!;
  assert.deepEqual(
    first.body.data.map(({ index }: { readonly index: number }) => index),
    [0, 1, 2, 3, 4],
  );
  for (const answer of answers) {
    if (answer.status === 200) assert.deepEqual(answer.body, first.body);
    else assertProblem(answer, { status: 409, code: "key_in_progress" });
  }
  const again = await submit(emails);
  assert.deepEqual([again.body, again.headers.get("idempotent-replayed")], [first.body, "true"]);
  for (const other of [emails.slice(1), emails.slice(0, 4), [...emails, EMAIL], emails.toReversed()]) {
    assertProblem(await submit(other), { status: 422, code: "key_used_for_other" });
  }
  const single = await rig.ask("POST", "/emails", { key, body: EMAIL, headers: { "idempotency-key": "newsletter-1" } });
  assertProblem(single, { status: 422, code: "key_used_for_other", field: "idempotency_key" });
  assert.deepEqual(await countMail(rig), { submissions: 5, messages: 5 });

  await rig.pool.query("UPDATE postlane.lane SET full_because = 'a test says so' WHERE name = 'bulk'");
  const mixed = [EMAIL, { ...EMAIL, lane: "bulk" }];
  const submitMixed = () =>
    rig.ask("POST", "/emails/batch", { key, body: mixed, headers: { "idempotency-key": "mixed" } });
  const partly = await submitMixed();
  assert.deepEqual(
    [partly.status, partly.body.data.length, partly.body.errors.map((error: { code: string }) => error.code)],
    [200, 1, ["lane_full"]],
  );
  await rig.pool.query("UPDATE postlane.lane SET full_because = NULL");
  const later = await submitMixed();
  assert.deepEqual(
    [later.body.data.length, later.body.data[0], later.body.errors],
    [2, partly.body.data[0], undefined],
  );
});

test("keys: none, a wrong one, one of too small a scope; and others' emails are not there", async (t) => {
  const rig = await startHttp(t);
  const [send, other] = [await rig.key(), await rig.key()];
  const [read, operate] = [await rig.key({ scope: "read" }), await rig.key({ scope: "operate" })];
  const missing = await rig.ask("POST", "/emails", { body: EMAIL });
  assertProblem(missing, { status: 401, code: "key_missing" });
  assert.equal(missing.headers.get("www-authenticate"), 'Bearer realm="postlane"');
  assertProblem(await rig.ask("GET", "/emails", { key: `${send}x` }), { status: 401, code: "key_refused" });
  assertProblem(await rig.ask("GET", "/emails", { headers: { authorization: "Basic YTpi" } }), {
    status: 401,
    code: "key_missing",
  });
  const { id } = (await rig.ask("POST", "/emails", { key: send, body: EMAIL })).body;
  assertProblem(await rig.ask("POST", "/emails", { key: read, body: EMAIL }), {
    status: 403,
    code: "scope_not_allowed",
  });
  const statuses = async (method: string, path: string, body?: unknown): Promise<readonly number[]> => {
    const found = [];
    for (const key of [other, read, operate, send]) found.push((await rig.ask(method, path, { key, body })).status);
    return found;
  };
  assert.deepEqual(await statuses("GET", `/emails/${id}`), [404, 200, 200, 200]);
  assert.deepEqual(await statuses("GET", "/lanes"), [403, 200, 200, 403]);
  assert.deepEqual(await statuses("GET", "/outlets"), [403, 200, 200, 403]);
  assert.deepEqual(await statuses("POST", "/lanes/bulk/pause"), [403, 403, 200, 403]);
  assert.deepEqual(
    await statuses("PATCH", `/emails/${id}`, { scheduled_at: "2098-01-01T00:00:00Z" }),
    [404, 403, 409, 409],
  );
  assert.deepEqual(await statuses("POST", `/emails/${id}/cancel`), [404, 403, 200, 200]);
  assertProblem(await rig.ask("GET", "/emails/sub_999", { key: operate }), { status: 404, code: "email_not_found" });
  assertProblem(await rig.ask("GET", "/emails/nope", { key: operate }), { status: 404, code: "email_not_found" });
});

test("a key's lanes, domains and rate hold, and its first lane is its default", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ lanes: ["bulk"], from_domains: ["shop.example"], max_rate: 2 });
  const submit = (body: object) =>
    rig.ask("POST", "/emails", { key, body: { ...EMAIL, from: "a@shop.example", ...body } });
  const { id } = (await submit({})).body;
  assert.equal((await rig.ask("GET", `/emails/${id}`, { key })).body.lane, "bulk");
  assertProblem(await submit({ lane: "transactional" }), { status: 403, code: "lane_not_allowed", field: "lane" });
  assertProblem(await submit({ headers: { "x-postlane-lane": "transactional" } }), {
    status: 403,
    code: "lane_not_allowed",
    field: "lane",
  });
  assertProblem(await submit({ from: "Shop <a@other.example>" }), {
    status: 403,
    code: "from_not_allowed",
    field: "from",
  });
  assertProblem(await submit({ from: null }), { status: 403, code: "from_not_allowed", field: "from" });
  const batch = Array.from({ length: 50 }, () => ({ ...EMAIL, from: "a@shop.example" }));
  const limited = await rig.ask("POST", "/emails/batch", { key, body: batch });
  const [, again] = [limited, await rig.ask("POST", "/emails/batch", { key, body: batch })];
  const refused = [limited, again].find(({ status }) => status === 429)!;
  assertProblem(refused, { status: 429, code: "rate_limited" });
  assert.ok(Number(refused.headers.get("retry-after")) >= 1);
});

test("what a field cannot be is refused with its name, and nothing is dropped in silence", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key();
  const cases: readonly (readonly [object | string, number, string, string?])[] = [
    [{ ...EMAIL, to: undefined }, 422, "bad_field", "to"],
    [{ ...EMAIL, to: 7 }, 422, "bad_field", "to"],
    [{ ...EMAIL, to: ["ann@example.net", 7] }, 422, "bad_field", "to"],
    [{ ...EMAIL, to: [] }, 422, "bad_address", "to"],
    [{ ...EMAIL, from: "nobody" }, 422, "bad_address", "from"],
    [{ ...EMAIL, subject: "a\r\nBcc: x@example.net" }, 422, "bad_field", "subject"],
    [{ ...EMAIL, headers: { "X-A\r\nBcc": "x" } }, 422, "bad_field", "headers"],
    [{ ...EMAIL, headers: { "X-A": "1\r\nBcc: x@example.net" } }, 422, "bad_field", "headers"],
    [{ ...EMAIL, headers: { From: "x@example.net" } }, 422, "bad_field", "headers"],
    [{ ...EMAIL, headers: { "X-Postlane-Lnae": "bulk" } }, 422, "bad_field", "headers"],
    [{ ...EMAIL, lane: "bulk", headers: { "X-Postlane-Lane": "transactional" } }, 422, "bad_field", "lane"],
    [{ ...EMAIL, lane: "nope" }, 422, "no_such_lane", "lane"],
    [{ ...EMAIL, scheduled_at: "in 1 min" }, 422, "bad_time", "scheduled_at"],
    [{ ...EMAIL, expires_at: "2001-01-01T00:00:00Z" }, 422, "bad_time", "expires_at"],
    [{ ...EMAIL, attachments: [{ filename: "a.pdf", content: "AA=" }] }, 422, "bad_field", "attachments"],
    [
      { ...EMAIL, attachments: [{ filename: "a.pdf", content: { type: "Buffer", data: [0] } }] },
      422,
      "bad_field",
      "attachments",
    ],
    [{ ...EMAIL, attachments: [{ filename: "a", content: "", path: "/a" }] }, 422, "not_supported", "attachments"],
    [{ ...EMAIL, attachments: Array(51).fill({ filename: "a", content: "" }) }, 422, "limit_exceeded", "attachments"],
    [{ ...EMAIL, template: { id: "x" } }, 422, "bad_field", "template"],
    [{ ...EMAIL, text: undefined, template: { id: "x" } }, 422, "bad_field", "template"],
    [{ ...EMAIL, text: undefined, template: { id: "x", name: "y" } }, 422, "bad_field", "template"],
    [{ ...EMAIL, text: undefined, template: "x" }, 422, "bad_field", "template"],
    [{ ...EMAIL, topic_id: "x" }, 422, "not_supported", "topic_id"],
    [{ ...EMAIL, replyTo: "x@example.net" }, 422, "bad_field", "replyTo"],
    [{ ...EMAIL, to: Array.from({ length: 51 }, (_, n) => `n${n}@example.net`) }, 422, "limit_exceeded", "to"],
    [{ ...EMAIL, text: undefined }, 422, "bad_field", "text"],
    [[], 422, "bad_field"],
    ["null", 422, "bad_field"],
    ["", 422, "bad_field"],
    ["{", 400, "bad_json"],
    ['{"to":"a@example.net","text":"\\u0000"}', 422, "bad_field"],
    ['{"to":"a@example.net","text":"\\ud800"}', 422, "bad_field"],
    ['{"to":"a@example.net","text":"x","metadata":{"\\ud800":1}}', 422, "bad_field"],
  ];
  for (const [body, status, code, field] of cases) {
    const answer = await rig.ask("POST", "/emails", { key, body });
    assertProblem(answer, { status, code, ...(field === undefined ? {} : { field }) });
  }
  assert.deepEqual(await countMail(rig), { submissions: 0, messages: 0 });
  const whole =
    '{"to":"a@example.net","text":"\\ud83d\\ude00 \\\\u0000","attachments":[],"template":null,"topic_id":null}';
  const { id } = (await rig.ask("POST", "/emails", { key, body: whole })).body;
  assert.equal((await rig.ask("GET", `/emails/${id}`, { key })).body.text, "\u{1f600} \\u0000");
});

test("a full lane, and an unknown type, are refused by their own statuses", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key();
  await rig.pool.query("UPDATE postlane.lane SET full_because = 'the queue holds 10 messages' WHERE name = 'bulk'");
  const full = await rig.ask("POST", "/emails", { key, body: { ...EMAIL, lane: "bulk" } });
  assertProblem(full, { status: 503, code: "lane_full", field: "lane" });
  assert.equal(full.headers.get("retry-after"), "30");
  assert.equal((await rig.ask("POST", "/emails", { key, body: EMAIL })).status, 200);
  const form = { key, body: "to=ann", headers: { "content-type": "application/x-www-form-urlencoded" } };
  assertProblem(await rig.ask("POST", "/emails", form), { status: 415, code: "not_json" });
});

test("a list goes page by page, the newest first, and shows a key of scope send its own", async (t) => {
  const rig = await startHttp(t);
  const [key, other, read] = [await rig.key(), await rig.key(), await rig.key({ scope: "read" })];
  const ids: string[] = [];
  for (let n = 0; n < 5; n++) {
    ids.unshift((await rig.ask("POST", "/emails", { key, body: { ...EMAIL, subject: `Number ${n}` } })).body.id);
    await rig.ask("POST", "/emails", { key: other, body: EMAIL });
  }
  await rig.pool.query("SELECT postlane.enqueue($1::jsonb)", [JSON.stringify(EMAIL)]);
  const seen: string[] = [];
  for (let path = "/emails?limit=2"; ;) {
    const { body } = await rig.ask("GET", path, { key });
    seen.push(...body.data.map(({ id }: { readonly id: string }) => id));
    if (!body.has_more) break;
    path = `/emails?limit=2&after=${seen.at(-1)}`;
  }
  assert.deepEqual(seen, ids);
  assert.equal((await rig.ask("GET", "/emails", { key: read })).body.data.length, 11);
  for (const query of ["limit=0", "limit=101", "limit=x", "after=x", "before=sub_1"]) {
    assertProblem(await rig.ask("GET", `/emails?${query}`, { key }), { status: 400, code: "bad_parameter" });
  }
});

test("each message is told apart, and the email's word is that of the one furthest from its end", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key();
  const to = ["ann@example.net", "bob@example.net", "cy@example.net"];
  const { id } = (await rig.ask("POST", "/emails", { key, body: { ...EMAIL, to } })).body;
  const read = async () => (await rig.ask("GET", `/emails/${id}`, { key })).body;
  const ids = (await read()).messages.map((message: { readonly id: string }) => Number(message.id.slice(4)));
  const settle = async (index: number, kind: string, reply: string): Promise<void> => {
    await rig.pool.query("DELETE FROM postlane.queue WHERE message_id = $1", [ids[index]]);
    await rig.pool.query(
      "INSERT INTO postlane.event (message_id, attempt, kind, outlet, host, reply) VALUES ($1, 1, $2, 'relay', 'mx', $3)",
      [ids[index], kind, reply],
    );
  };
  await settle(0, "sent", "250 ok");
  await rig.pool.query("UPDATE postlane.queue SET state = 'deferred' WHERE message_id = $1", [ids[1]]);
  assert.equal((await read()).last_event, "queued");
  await settle(2, "bounced", "550 no");
  const mixed = await read();
  assert.equal(mixed.last_event, "delivery_delayed");
  assert.deepEqual(
    mixed.messages.map(({ status }: { readonly status: string }) => status),
    ["sent", "delivery_delayed", "bounced"],
  );
  const [event] = mixed.messages[2].events;
  assert.deepEqual(
    { ...event, at: "" },
    { at: "", event: "bounced", attempt: 1, outlet: "relay", host: "mx", reply: "550 no" },
  );
  await settle(1, "delivered", "250 ok");
  assert.equal((await read()).last_event, "sent");
  assert.equal((await rig.ask("GET", "/emails", { key })).body.data[0].last_event, "sent");
});

test("canceling takes what waits, leaves what is claimed, and the books still add up", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key();
  const to = ["ann@example.net", "bob@example.net"];
  const { id } = (await rig.ask("POST", "/emails", { key, body: { ...EMAIL, to } })).body;
  const [first, second] = (await rig.ask("GET", `/emails/${id}`, { key })).body.messages;
  await rig.pool.query("UPDATE postlane.queue SET lease_id = 1 WHERE message_id = $1", [first.id.slice(4)]);
  const canceled = await rig.ask("POST", `/emails/${id}/cancel`, { key });
  assert.deepEqual(
    [canceled.status, canceled.body.messages],
    [
      200,
      [
        { id: first.id, result: "being_handed_over", status: "queued" },
        { id: second.id, result: "done", status: "canceled" },
      ],
    ],
  );
  assertProblem(await rig.ask("POST", `/emails/${id}/cancel`, { key }), { status: 409, code: "being_handed_over" });
  await rig.pool.query("UPDATE postlane.queue SET lease_id = NULL WHERE message_id = $1", [first.id.slice(4)]);
  assert.equal((await rig.ask("POST", `/emails/${id}/cancel`, { key })).status, 200);
  assert.equal((await rig.ask("POST", `/emails/${id}/cancel`, { key })).status, 200);
  const { messages } = (await rig.ask("GET", `/emails/${id}`, { key })).body;
  assert.match(messages[0].events[0].reply, /^canceled by key:\d+$/);
  const { rows } = await rig.pool.query("SELECT state, n FROM postlane.balance_sheet ORDER BY state");
  assert.deepEqual(rows, [{ state: "canceled", n: 2 }]);
  assertProblem(await rig.ask("PATCH", `/emails/${id}`, { key, body: { scheduled_at: "2098-01-01T00:00:00Z" } }), {
    status: 409,
    code: "not_scheduled",
  });
});

test("a scheduled email gets another time, also now, and never one past its end", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key();
  const body = { ...EMAIL, scheduled_at: "2098-01-01T00:00:00Z", expires_at: "2098-02-01T00:00:00Z" };
  const { id } = (await rig.ask("POST", "/emails", { key, body })).body;
  const move = (scheduled_at: unknown) => rig.ask("PATCH", `/emails/${id}`, { key, body: { scheduled_at } });
  assertProblem(await move("2098-03-01T00:00:00Z"), { status: 422, code: "bad_time", field: "scheduled_at" });
  assertProblem(await move("tomorrow"), { status: 422, code: "bad_time", field: "scheduled_at" });
  assertProblem(await move(7), { status: 422, code: "bad_field", field: "scheduled_at" });
  assert.equal((await move("2098-01-15T00:00:00Z")).body.messages[0].status, "scheduled");
  assert.equal((await move("2001-01-01T00:00:00Z")).body.messages[0].status, "queued");
  const read = (await rig.ask("GET", `/emails/${id}`, { key })).body;
  assert.deepEqual([read.last_event, read.scheduled_at], ["queued", null]);
  assert.deepEqual(
    read.messages[0].events.map(({ event }: { readonly event: string }) => event),
    ["rescheduled", "rescheduled"],
  );
  const { rows } = await rig.pool.query("SELECT state, n FROM postlane.balance_sheet ORDER BY state");
  assert.deepEqual(rows, [{ state: "queued", n: 1 }]);
});

test("lanes and outlets are told, paused and resumed", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key({ scope: "operate" });
  await rig.ask("POST", "/emails", { key, body: EMAIL });
  assert.equal((await rig.ask("POST", "/lanes/bulk/pause", { key })).body.is_paused, true);
  const { data } = (await rig.ask("GET", "/lanes", { key })).body;
  assert.deepEqual(
    data.map((lane: { name: string; is_paused: boolean; messages: { queued: number } }) => [
      lane.name,
      lane.is_paused,
      lane.messages.queued,
    ]),
    [
      ["transactional", false, 1],
      ["bulk", true, 0],
    ],
  );
  assert.equal((await rig.ask("POST", "/lanes/bulk/resume", { key })).body.is_paused, false);
  assertProblem(await rig.ask("POST", "/lanes/nope/pause", { key }), { status: 404, code: "lane_not_found" });

  const pause = (path: string, body?: unknown) => rig.ask("POST", `/outlets/${path}`, { key, body });
  assert.deepEqual((await pause("default/pause")).body, {
    object: "outlet",
    name: "default",
    lane: null,
    is_paused: true,
    was_paused: false,
  });
  assertProblem(await pause("default/resume", { lane: "bulk" }), { status: 409, code: "paused_for_every_lane" });
  const outlets = (await rig.ask("GET", "/outlets", { key })).body.data;
  assert.deepEqual(
    [outlets[0].name, outlets[0].is_paused, outlets[0].limits[0].code],
    ["default", true, "outlet_paused"],
  );
  assert.equal((await pause("default/resume", "")).body.was_paused, true);
  assert.equal((await pause("default/pause", { lane: "bulk" })).body.lane, "bulk");
  assertProblem(await pause("default/pause", { lane: "nope" }), { status: 422, code: "no_such_lane", field: "lane" });
  assertProblem(await pause("nope/pause"), { status: 404, code: "outlet_not_found" });
});
