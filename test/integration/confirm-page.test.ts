// Confirming by HTTP on a real database: only the button confirms, and once; scanners, tokens that are none of ours or too
// old, people who had unsubscribed, and a database that fails.

import assert from "node:assert/strict";
import { test } from "node:test";
import { confirmUrlOf } from "../../src/mail/confirm-token.ts";
import type { MessageId, SubscriptionId } from "../../src/mail/ids.ts";
import { unsubscribeTokenOf } from "../../src/mail/unsubscribe-token.ts";
import { createMac } from "../../src/platform/mac.ts";
import { readSubscriptionKey, readUnsubscribeKey } from "../../src/postgres/secret-store.ts";
import { assertLockedDown } from "../rig/phone.ts";
import { startQuietUpkeep } from "../rig/quiet-upkeep.ts";
import { until } from "../rig/lane-mail.ts";
import { newsletter, suppressionsIn } from "../rig/unsubscribe.ts";
import { goBy, mailsTo, postForm, recipientsOf, startSubscriptions, type SubscriptionRig } from "./subscription-rig.ts";

const ADDRESS = "ann@example.com";

async function asked(
  t: Parameters<typeof startSubscriptions>[0],
): Promise<SubscriptionRig & { readonly link: string }> {
  const rig = await startSubscriptions(t);
  assert.equal((await rig.subscribe(ADDRESS, { data: { first_name: "Ann" } })).status, 200);
  return { ...rig, link: await rig.linkTo(ADDRESS) };
}

test("a scanner that follows the link with GET, HEAD or a prefetch, or posts nothing, confirms nobody", async (t) => {
  const rig = await asked(t);
  for (const link of [rig.link, `${rig.link}?confirm=yes`, `${rig.link}/`]) {
    for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]) {
      const answer = await fetch(link, { method, redirect: "manual", headers: { "sec-purpose": "prefetch" } });
      assert.ok(answer.status === 200 || answer.status >= 400);
      assert.deepEqual([answer.headers.get("location"), answer.headers.get("set-cookie")], [null, null]);
      const page = await answer.text();
      for (const [, href = ""] of page.matchAll(/(?:href|src|action)="([^"]*)"/g)) assert.fail(`it links to ${href}`);
    }
  }
  for (const body of ["", "confirm=", "confirm=maybe", "List-Unsubscribe=One-Click"]) {
    const answer = await postForm(rig.link, body);
    assert.equal(answer.status, 400, body);
    assert.match(await answer.text(), /<button class="first" name="confirm" value="yes">/);
  }
  assert.equal((await postForm(rig.link, `confirm=yes&x=${"x".repeat(5000)}`)).status, 413);
  assert.deepEqual(await recipientsOf(rig), []);
});

test("the button confirms, from wherever the page was shown; of twenty at the same moment there is one recipient", async (t) => {
  const rig = await asked(t);
  const before = await fetch(rig.link);
  assert.equal(before.status, 200);
  const page = await before.text();
  assert.match(page, /News.*Confirm your subscription.*“.*weekly-news.*”.*a…@example\.com.*Yes, subscribe/s);
  assert.doesNotMatch(page, /ann@/);
  const headers = { origin: "null", "sec-fetch-site": "cross-site" };
  const answers = await Promise.all(Array.from({ length: 20 }, () => rig.confirm(rig.link, headers)));
  for (const answer of answers) {
    assert.equal(answer.status, 200);
    assert.match(await answer.text(), /You are subscribed/);
  }
  assert.equal((await recipientsOf(rig)).length, 1);
  // Later, too, and on the page that was opened again.
  assert.match(
    await (await rig.confirm(rig.link.toUpperCase().replace(/.*\/CONFIRM/, `${rig.url}/confirm`))).text(),
    /You are/,
  );
  assert.match(await (await fetch(rig.link)).text(), /You are subscribed/);
  assert.equal((await recipientsOf(rig)).length, 1);
  const { rows } = await rig.pool.query("SELECT source, added FROM postlane.list_import");
  assert.deepEqual(rows, [{ source: "subscriptions", added: 1 }]);
});

test("two who confirm at the same moment are both on the list, and counted", async (t) => {
  const rig = await startSubscriptions(t);
  const addresses = Array.from({ length: 10 }, (_, n) => `user${n}@example.com`);
  for (const address of addresses) await rig.subscribe(address);
  const links = await Promise.all(addresses.map((address) => rig.linkTo(address)));
  const answers = await Promise.all(links.map((link) => rig.confirm(link)));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  assert.deepEqual((await recipientsOf(rig)).map(({ address }) => address).toSorted(), addresses);
});

test("a forged token, one to unsubscribe by, or of another database confirms nobody, nor the other way round", async (t) => {
  const rig = await asked(t);
  const token = rig.link.slice(rig.link.lastIndexOf("/") + 1);
  const [ours, unsubscribing] = [
    createMac(await readSubscriptionKey(rig.pool)),
    createMac(await readUnsubscribeKey(rig.pool)),
  ];
  const id = 1 as SubscriptionId;
  assert.equal(confirmUrlOf(id, rig.url, ours), rig.link, "the test makes tokens as they are");
  const bad = {
    changed: token.slice(0, 5) + (token[5] === "a" ? "b" : "a") + token.slice(6),
    short: token.slice(0, -1),
    long: `${token}a`,
    "to unsubscribe by": unsubscribeTokenOf(1 as MessageId, unsubscribing),
    "of another database": confirmUrlOf(id, "", createMac(Buffer.from("theirs"))).slice("/confirm/".length),
    empty: "",
    odd: "%00..%2F..%2Fetc",
  };
  for (const [name, one] of Object.entries(bad)) {
    for (const answer of [await rig.confirm(`${rig.url}/confirm/${one}`), await fetch(`${rig.url}/confirm/${one}`)]) {
      assert.equal(answer.status, 404, name);
      assert.match(await answer.text(), /incomplete or not valid\. Nothing was changed/, name);
    }
  }
  assert.equal((await postForm(`${rig.url}/u/${token}`, "List-Unsubscribe=One-Click")).status, 404);
  assert.deepEqual(await recipientsOf(rig), []);
});

test("after seven days the link is too old, before and after what is pending was deleted", async (t) => {
  const rig = await asked(t);
  const { id } = (await rig.subscribe(ADDRESS)).body;
  await goBy(rig, "6 days 23 hours");
  assert.equal((await fetch(rig.link)).status, 200);
  await goBy(rig, "1 hour");
  const assertOver = async () => {
    for (const answer of [await rig.confirm(rig.link), await fetch(rig.link)]) {
      assert.equal(answer.status, 404);
      assert.match(await answer.text(), /too old\. Nothing was changed\. Please subscribe again/);
    }
  };
  await assertOver();
  const told = await rig.ask("GET", `/subscriptions/${id}`, { key: rig.siteKey });
  assert.equal(told.body.state, "expired");
  startQuietUpkeep(t, rig.pool);
  await until("it is deleted", async () => (await rig.pool.query("SELECT FROM postlane.subscription")).rowCount === 0);
  await assertOver();
  assert.deepEqual(await recipientsOf(rig), []);
  await rig.subscribe(ADDRESS);
  assert.equal((await rig.confirm(await rig.linkTo(ADDRESS))).status, 200);
  assert.equal((await recipientsOf(rig)).length, 1);
});

test("who unsubscribed from the list subscribes again: what was known stays, and what was given is renewed", async (t) => {
  const rig = await asked(t);
  await rig.confirm(rig.link);
  const { token } = await newsletter(rig.pool, { to: ADDRESS });
  await postForm(`${rig.url}/u/${token}`, "List-Unsubscribe=One-Click");
  assert.equal((await suppressionsIn(rig.pool)).length, 1);
  // The link of the old mail takes nothing back.
  assert.equal((await rig.confirm(rig.link)).status, 404);
  assert.equal((await suppressionsIn(rig.pool)).length, 1);

  await goBy(rig, "1 hour");
  const mails = await mailsTo(rig, ADDRESS);
  await rig.subscribe(ADDRESS, { data: { visits: "7.50" } });
  assert.equal(await mailsTo(rig, ADDRESS), mails + 1);
  assert.equal((await suppressionsIn(rig.pool)).length, 1, "asking alone ends nothing");
  assert.match(await (await rig.confirm(await rig.linkTo(ADDRESS))).text(), /You are subscribed/);
  assert.deepEqual(await suppressionsIn(rig.pool), []);
  const [recipient, ...others] = await recipientsOf(rig);
  assert.deepEqual([recipient!.data["first_name"], recipient!.data["visits"], others], ["Ann", 7.5, []]);
});

test("who unsubscribed from all newsletters gets this one again, and no other", async (t) => {
  const rig = await asked(t);
  const other = await newsletter(rig.pool, { list: "offers", to: ADDRESS });
  await postForm(`${rig.url}/u/${other.token}`, "List-Unsubscribe=One-Click&page=all");
  await rig.confirm(rig.link);
  assert.deepEqual(await suppressionsIn(rig.pool), [
    { address: ADDRESS, scope: "list", list: "offers", reason: "unsubscribe", source: "sbn_1" },
  ]);
});

test("confirming ends no bounce, no complaint, nothing that a person or a file has said, and nothing of a domain", async (t) => {
  const rig = await asked(t);
  const rows = [
    [ADDRESS, "bulk", "", "complaint"],
    [ADDRESS, "list", "weekly-news", "manual"],
    [ADDRESS, "everything", "", "bounce"],
    ["@example.com", "bulk", "", "unsubscribe"],
    [ADDRESS, "list", "offers", "unsubscribe"],
  ];
  for (const [address, scope, list, reason] of rows) {
    await rig.pool.query(
      `INSERT INTO postlane.suppression (hash, scope, list, address, reason, source)
       VALUES (postlane.suppression_hash($1), $2, $3, $1, $4, 'test')`,
      [address, scope, list, reason],
    );
  }
  assert.equal((await rig.confirm(rig.link)).status, 200);
  const left = (await suppressionsIn(rig.pool)).map(({ address, scope, list, reason }) => [
    address,
    scope,
    list,
    reason,
  ]);
  assert.deepEqual(left, rows);
});

test("a session that dies in the middle of confirming leaves neither a recipient nor a confirmation; again is right", async (t) => {
  const rig = await asked(t);
  await rig.pool.query(
    `CREATE FUNCTION public.die() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
     CREATE TRIGGER die AFTER INSERT ON postlane.recipient FOR EACH ROW EXECUTE FUNCTION public.die()`,
  );
  const died = await rig.confirm(rig.link);
  assert.equal(died.status, 503);
  assert.ok(Number(died.headers.get("retry-after")) > 0);
  assert.match(await died.text(), /try again in a few minutes/);
  assert.deepEqual(await recipientsOf(rig), []);
  await rig.pool.query("DROP TRIGGER die ON postlane.recipient");
  assert.match(await (await fetch(rig.link)).text(), /Yes, subscribe/);
  assert.equal((await rig.confirm(rig.link)).status, 200);
  assert.equal((await recipientsOf(rig)).length, 1);
});

test("the page's headers forbid all that it does not need, and the words of others cannot become HTML", async (t) => {
  const rig = await startSubscriptions(t);
  await rig.subscribe(ADDRESS, { from: '"<script>x</script>" <a@example.com>', data: { locale: "sv" } });
  const link = await rig.linkTo(ADDRESS);
  await rig.pool.query("UPDATE postlane.subscription SET address = '\"''>&x@example.com'");
  const answer = await fetch(link, { headers: { "accept-language": "de" } });
  const page = await answer.text();
  assert.match(page, /^<!doctype html>\n<html lang="sv" dir="ltr">/);
  assert.doesNotMatch(page.slice(page.indexOf("<main>")), /<script|<b>|['&](?!#\d+;)/);
  assertLockedDown(answer);
});
