// Unsubscribing by HTTP on a real database: one click by what mail programs send, a page that changes nothing, scanners,
// tokens that are none of ours, and a database that says nothing.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageId } from "../../src/mail/ids.ts";
import { tokenOf } from "../../src/mail/return-token.ts";
import { unsubscribeTokenOf } from "../../src/mail/unsubscribe-token.ts";
import { createMac } from "../../src/platform/mac.ts";
import { readReturnTokenKey, readUnsubscribeKey } from "../../src/postgres/secret-store.ts";
import { UNSUBSCRIBE_DAYS_MAX } from "../../src/suppression/unsubscribe.ts";
import { assertLockedDown } from "../rig/phone.ts";
import { enqueue, storyOf } from "../rig/lane-mail.ts";
import { newsletter, suppressionsIn, tokenOfMessage } from "../rig/unsubscribe.ts";
import { assertProblem, startHttp, type HttpRig } from "./http-rig.ts";

const ONE_CLICK = "List-Unsubscribe=One-Click";
const FORM = { "content-type": "application/x-www-form-urlencoded" };
const BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW";
const MULTIPART = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--${BOUNDARY}--\r\n`;

async function start(t: Parameters<typeof startHttp>[0]): Promise<HttpRig> {
  return await startHttp(t, { POSTLANE_PUBLIC_URL: "https://mail.example.com" });
}

async function post(url: string, body: string = ONE_CLICK, headers: Readonly<Record<string, string>> = FORM) {
  return await fetch(url, { method: "POST", body, headers, redirect: "manual" });
}

test("one click unsubscribes at once: as a form or multipart, without login, cookie or redirect; twice is once", async (t) => {
  const rig = await start(t);
  const asForm = await newsletter(rig.pool, { to: "Ann@Example.com" });
  const asMultipart = await newsletter(rig.pool, { list: "", to: "bob@example.com" });
  const tries = [
    await post(`${rig.url}/u/${asForm.token}`),
    await post(`${rig.url}/u/${asForm.token.toUpperCase()}`),
    await post(`${rig.url}/u/${asMultipart.token}`, MULTIPART, {
      "content-type": `multipart/form-data; boundary=${BOUNDARY}`,
    }),
  ];
  for (const { status, headers } of tries) {
    assert.equal(status, 200);
    assert.deepEqual([headers.get("location"), headers.get("set-cookie")], [null, null]);
  }
  assert.deepEqual(await suppressionsIn(rig.pool), [
    {
      address: "ann@example.com",
      scope: "list",
      list: "weekly-news",
      reason: "unsubscribe",
      source: `msg_${asForm.id}`,
    },
    { address: "bob@example.com", scope: "bulk", list: "", reason: "unsubscribe", source: `msg_${asMultipart.id}` },
  ]);
  assert.deepEqual(await storyIn(rig, asForm.id), ["unsubscribed one_click from list weekly-news"]);
  assert.deepEqual(await storyIn(rig, asMultipart.id), ["unsubscribed one_click from all bulk mail"]);
});

test("of twenty clicks at the same moment one is told of, and webhooks are owed one event", async (t) => {
  const rig = await start(t);
  await rig.pool.query(
    `INSERT INTO postlane.webhook (url, secret, kinds) VALUES ('https://shop.example/hook', '\\x00', '{unsubscribed}')`,
  );
  const { id, token } = await newsletter(rig.pool);
  const answers = await Promise.all(Array.from({ length: 20 }, () => post(`${rig.url}/u/${token}`)));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  assert.equal((await suppressionsIn(rig.pool)).length, 1);
  assert.equal((await storyIn(rig, id)).length, 1);
  const { rows } = await rig.pool.query("SELECT message_id, kind FROM postlane.webhook_delivery");
  assert.deepEqual(rows, [{ message_id: id, kind: "unsubscribed" }]);
});

test("an email's list counts as a campaign's; without one it is all bulk mail", async (t) => {
  const rig = await start(t);
  const withList = await enqueue(rig.pool, { to: "ann@example.com", lane: "bulk", list: "offers" });
  const without = await enqueue(rig.pool, { to: "bob@example.com", lane: "bulk" });
  for (const id of [withList, without]) await post(`${rig.url}/u/${await tokenOfMessage(rig.pool, id)}`);
  assert.deepEqual(
    (await suppressionsIn(rig.pool)).map(({ address, scope, list }) => [address, scope, list]),
    [
      ["ann@example.com", "list", "offers"],
      ["bob@example.com", "bulk", ""],
    ],
  );
});

test("the list of an email comes by its field or its header; what cannot be a name is refused", async (t) => {
  const rig = await start(t);
  const key = await rig.key({ lanes: null });
  const email = { to: "ann@example.com", subject: "News", text: "Hello", lane: "bulk" };
  const asked = [
    await rig.ask("POST", "/emails", { key, body: { ...email, list: "offers" } }),
    await rig.ask("POST", "/emails", { key, body: { ...email, headers: { "X-Postlane-List": "offers" } } }),
  ];
  assert.deepEqual(
    asked.map(({ status }) => status),
    [200, 200],
  );
  const { rows } = await rig.pool.query(
    "SELECT body ->> 'list' AS list, body -> 'headers' AS headers FROM postlane.content",
  );
  assert.deepEqual(rows, [
    { list: "offers", headers: null },
    { list: "offers", headers: null },
  ]);
  for (const list of ["", "a b", "a\r\nBcc: x", "ä", "a".repeat(65)]) {
    const refused = await rig.ask("POST", "/emails", { key, body: { ...email, list } });
    assertProblem(refused, { status: 422, code: "bad_field", field: "list" });
  }
});

test("a suppression that would have ended becomes one that does not, and that is told", async (t) => {
  const rig = await start(t);
  const { id, token } = await newsletter(rig.pool, { list: "" });
  await post(`${rig.url}/u/${token}`);
  await rig.pool.query("UPDATE postlane.suppression SET reason = 'bounce', expires_at = now() + interval '90 days'");
  await post(`${rig.url}/u/${token}`);
  const { rows } = await rig.pool.query("SELECT reason, expires_at FROM postlane.suppression");
  assert.deepEqual(rows, [{ reason: "unsubscribe", expires_at: null }]);
  assert.equal((await storyIn(rig, id)).length, 2);
});

test("a scanner that follows every link with GET or HEAD unsubscribes nobody", async (t) => {
  const rig = await start(t);
  const { id, token } = await newsletter(rig.pool);
  const links = [`/u/${token}`, `/u/${token}?List-Unsubscribe=One-Click`, `/u/${token}?page=all`, `/u/${token}/`];
  for (const link of [...links, ...links]) {
    for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]) {
      const answer = await fetch(rig.url + link, { method, redirect: "manual" });
      assert.ok(![301, 302, 303, 307, 308].includes(answer.status));
      const page = await answer.text();
      for (const [, href = ""] of page.matchAll(/(?:href|src|action)="([^"]*)"/g))
        assert.fail(`the page links to ${href}`);
    }
  }
  assert.deepEqual(await suppressionsIn(rig.pool), []);
  assert.deepEqual(await storyOf(rig.pool, id), []);
});

test("a POST that does not say it gets the page with its button, and changes nothing", async (t) => {
  const rig = await start(t);
  const { token } = await newsletter(rig.pool);
  for (const [body, type] of [
    ["", "application/x-www-form-urlencoded"],
    ["List-Unsubscribe=maybe", "application/x-www-form-urlencoded"],
    ["page=all", "application/x-www-form-urlencoded"],
    ['{"List-Unsubscribe":"One-Click"}', "application/json"],
    [MULTIPART, "multipart/form-data; boundary=other"],
  ] as const) {
    const answer = await post(`${rig.url}/u/${token}`, body, { "content-type": type });
    assert.equal(answer.status, 400, body);
    assert.match(await answer.text(), /<button class="first"/);
  }
  const large = await post(`${rig.url}/u/${token}`, `${ONE_CLICK}&x=${"x".repeat(5000)}`);
  assert.equal(large.status, 413);
  assert.match(large.headers.get("content-type") ?? "", /^text\/html/);
  assert.deepEqual(await suppressionsIn(rig.pool), []);
});

test("a forged, foreign or old token, or one of another kind, changes nothing and says so", async (t) => {
  const rig = await start(t);
  const { id, token } = await newsletter(rig.pool);
  const ours = createMac(await readUnsubscribeKey(rig.pool));
  const returns = createMac(await readReturnTokenKey(rig.pool));
  const bad = {
    changed: token.slice(0, 5) + (token[5] === "a" ? "b" : "a") + token.slice(6),
    short: token.slice(0, -1),
    long: `${token}a`,
    "of another database": unsubscribeTokenOf(id, createMac(Buffer.from("theirs"))),
    "a return path": tokenOf({ messageId: id, attempt: 1 }, returns),
    "a return path under the key": tokenOf({ messageId: id, attempt: 1 }, ours),
    "of no message": unsubscribeTokenOf(987_654_321 as MessageId, ours),
    empty: "",
    odd: "%00..%2F..%2Fetc",
  };
  for (const [name, one] of Object.entries(bad)) {
    for (const answer of [await post(`${rig.url}/u/${one}`), await fetch(`${rig.url}/u/${one}`)]) {
      assert.equal(answer.status, 404, name);
      assert.match(await answer.text(), /incomplete or not valid\. Nothing was changed/, name);
    }
  }
  await rig.pool.query(
    `UPDATE postlane.message SET accepted_at = now() - ${UNSUBSCRIBE_DAYS_MAX} * interval '1 day' - interval '1 minute'`,
  );
  for (const answer of [await post(`${rig.url}/u/${token}`), await fetch(`${rig.url}/u/${token}`)]) {
    assert.equal(answer.status, 404);
    assert.match(await answer.text(), /too old\. Nothing was changed/);
  }
  assert.deepEqual(await suppressionsIn(rig.pool), []);
  await rig.pool.query("UPDATE postlane.message SET accepted_at = accepted_at + interval '2 minutes'");
  assert.equal((await post(`${rig.url}/u/${token}`)).status, 200);
});

test("while the database stands still the answer is 503 and a page, in time; nothing is lost by saying it again", async (t) => {
  const rig = await start(t);
  const { token } = await newsletter(rig.pool);
  assert.equal((await fetch(`${rig.url}/u/${token}`)).status, 200);
  const blocker = await rig.pool.connect();
  try {
    await blocker.query("BEGIN");
    await blocker.query("LOCK TABLE postlane.message IN ACCESS EXCLUSIVE MODE");
    const startedAtMs = performance.now();
    const [got, posted] = await Promise.all([fetch(`${rig.url}/u/${token}`), post(`${rig.url}/u/${token}`)]);
    assert.ok(performance.now() - startedAtMs < 4000);
    for (const answer of [got, posted]) {
      assert.equal(answer.status, 503);
      assert.ok(Number(answer.headers.get("retry-after")) > 0);
      assert.match(await answer.text(), /try again in a few minutes/);
    }
    await blocker.query("ROLLBACK");
  } finally {
    blocker.release();
  }
  assert.equal((await post(`${rig.url}/u/${token}`)).status, 200);
  assert.equal((await suppressionsIn(rig.pool)).length, 1);
});

test("the page's headers forbid all that it does not need, and the words of others cannot become HTML", async (t) => {
  const rig = await start(t);
  const { id, token } = await newsletter(rig.pool);
  await rig.pool.query(
    `UPDATE postlane.content SET body = jsonb_set(body::jsonb, '{from}', '"\\"<script>alert(1)</script>\\" <a&b@news.example>"')::json`,
  );
  await rig.pool.query(
    "UPDATE postlane.message SET recipient = '\"''>&x@example.com', data = '{\"locale\": \"<b>\"}' WHERE id = $1",
    [id],
  );
  const answer = await fetch(`${rig.url}/u/${token}`, { headers: { "accept-language": "xx, sv;q=0.4, de;q=0.3" } });
  const page = await answer.text();
  assert.match(page, /^<!doctype html>\n<html lang="sv" dir="ltr">/);
  assert.doesNotMatch(page.slice(page.indexOf("<main>")), /<script|<b>|['&](?!#\d+;)/);
  assertLockedDown(answer);
});

async function storyIn({ pool }: HttpRig, id: MessageId): Promise<readonly string[]> {
  const { rows } = await pool.query<{ readonly told: string }>(
    "SELECT concat_ws(' ', kind, host, reply) AS told FROM postlane.event WHERE message_id = $1 ORDER BY at",
    [id],
  );
  return rows.map(({ told }) => told);
}
