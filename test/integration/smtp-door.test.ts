// The SMTP door spoken to by hand, over a real database: what it takes, what it keeps of it, and what it refuses.

import assert from "node:assert/strict";
import { test } from "node:test";
import { testDatabase } from "../rig/postgres.ts";
import { keptMail, keyFor, openDoor, Talk, TEST_MARK, withoutReceived } from "./smtp-rig.ts";

const HEADER =
  "From: Site <site@example.com>\r\nMessage-ID: <1@example.com>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n";

test("a mail to several is kept as it came, once, and answered with its submission", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const talk = await Talk.with(port);
  const content = `${HEADER}Subject: x\r\n\r\n.\r\n..two\r\nlast\r\n`;
  const reply = await talk.mail(content, ["ann@example.com", "bob@example.net", "Ann@Example.com"]);
  const [kept, ...others] = await keptMail(pool);
  assert.equal(reply, `250 2.0.0 sub_${kept?.id} queued`);
  assert.deepEqual(others, []);
  assert.equal(withoutReceived(kept!.raw), content);
  assert.deepEqual(
    { door: kept?.door, credential: kept?.credential, to: kept?.recipients, mail: kept?.mail },
    {
      door: "smtp",
      credential: "loopback",
      to: ["ann@example.com", "bob@example.net"],
      mail: { sender: "site@example.com" },
    },
  );
  talk.end();
});

test("what is offered, and every reply has its enhanced code", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const talk = await Talk.at(port);
  const ehlo = await talk.say("EHLO client.test");
  const offered = ehlo.split("\r\n").map((line) => line.slice(4));
  const extensions = ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN", "AUTH PLAIN LOGIN"];
  assert.deepEqual(offered, ["door.test", ...extensions, `SIZE ${10 * 2 ** 20}`]);
  const replies = await talk.sayAll(
    "NOOP",
    "RSET",
    "VRFY ann",
    "HELP",
    "WIZ x",
    "STARTTLS",
    "RCPT TO:<ann@example.com>",
    "DATA",
    "MAIL FROM:<site@example.com>",
    "MAIL FROM:<site@example.com>",
    "DATA",
    "RCPT TO:<ann>",
    "RCPT TO:<ann@example.com> X=1",
    "RSET",
    "AUTH PLAIN AGEAYg==",
    "QUIT",
  );
  for (const reply of replies) assert.match(reply, /^([245])\d\d \1\.\d{1,3}\.\d{1,3} [ -~]+$/, reply);
  assert.deepEqual(
    replies.map((reply) => reply.slice(0, 9)),
    [
      "250 2.0.0",
      "250 2.0.0",
      "252 2.1.5",
      "500 5.5.2",
      "500 5.5.2",
      "502 5.5.1",
      "503 5.5.1",
      "503 5.5.1",
      "250 2.1.0",
      "503 5.5.1",
      "554 5.5.1",
      "553 5.1.3",
      "555 5.5.4",
      "250 2.0.0",
      "535 5.7.8",
      "221 2.0.0",
    ],
  );
});

test("what is missing is added, what is blind or for Postlane alone is left out, and nothing else changes", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const talk = await Talk.with(port);
  const reply = await talk.mail(
    "From: a@example.com\r\nbCC : eve@example.com,\r\n\tmallory@example.com\r\nX-Long: " +
      `${"x".repeat(2000)}\r\nx-postlane-LANE: bulk\r\nX-Postlane-Expires-At: 2999-01-31T09:00:00Z\r\n` +
      "X-Postlane-Door: sendmail\r\nSubject: caf\xe9\r\n folded\r\n\r\nBcc: in the body\r\n\xff\xfe\r\n",
  );
  assert.match(reply, /^250 2\.0\.0 sub_\d+ queued$/);
  const [kept] = await keptMail(pool);
  const rest = withoutReceived(kept!.raw);
  const [, messageId = "", date = ""] =
    /^Message-ID: <([0-9a-f]{16}\.\w+@site\.test)>\r\nDate: (.*)\r\n/.exec(rest) ?? [];
  assert.notEqual(messageId, "");
  assert.ok(Math.abs(Date.parse(date) - Date.now()) < 60_000);
  assert.equal(
    rest.replace(/^Message-ID: .*\r\nDate: .*\r\n/, ""),
    `From: a@example.com\r\nX-Long: ${"x".repeat(2000)}\r\nSubject: caf\xe9\r\n folded\r\n\r\nBcc: in the body\r\n\xff\xfe\r\n`,
  );
  assert.deepEqual([kept?.door, kept?.lanes], ["sendmail", ["bulk"]]);
  const { rows } = await pool.query("SELECT expires_at::text AS expires FROM postlane.message");
  assert.deepEqual(rows, [{ expires: "2999-01-31 09:00:00+00" }]);
  talk.end();
});

test("what the client asks of failure notices, and UTF-8, is kept beside the mail", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const talk = await Talk.with(port);
  const replies = await talk.sayAll(
    "MAIL FROM:<büro@example.com>".replace("ü", "\xc3\xbc") +
      " SIZE=100 BODY=8BITMIME SMTPUTF8 RET=hdrs ENVID=QQ+2B314",
    "RCPT TO:<ann@example.com> NOTIFY=success,FAILURE ORCPT=rfc822;Ann+2Bx@example.com",
    "RCPT TO:<bob@xn--bcher-kva.example> NOTIFY=NEVER",
    "DATA",
  );
  assert.deepEqual(
    replies.map((reply) => reply.slice(0, 3)),
    ["250", "250", "250", "354"],
  );
  talk.write(`${HEADER}\r\nx\r\n`);
  assert.match(await talk.say("."), /^250/);
  const [kept] = await keptMail(pool);
  assert.deepEqual(kept?.mail, {
    sender: "büro@example.com",
    is_utf8: true,
    ret: "HDRS",
    envid: "QQ+2B314",
    notify: { "ann@example.com": "SUCCESS,FAILURE", "bob@xn--bcher-kva.example": "NEVER" },
    orcpt: { "ann@example.com": "rfc822;Ann+2Bx@example.com" },
  });
  assert.deepEqual(kept?.recipients, ["ann@example.com", "bob@xn--bcher-kva.example"]);
  assert.match(kept.raw, /with UTF8SMTP id/);
  talk.end();
});

test("the null sender and a machine's name without a dot may send", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const talk = await Talk.with(port);
  for (const sender of ["", "root@web1"]) {
    assert.match(await talk.mail(`Subject: ${sender}\r\n\r\n`, ["ann@example.com"], sender), /^250/);
  }
  assert.deepEqual(
    (await keptMail(pool)).map(({ mail }) => mail.sender),
    ["", "root@web1"],
  );
  talk.end();
});

test("a mail that was here before, or went through too many hands, is a loop", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const talk = await Talk.with(port);
  assert.match(await talk.mail(`${HEADER}\r\nx\r\n`), /^250/);
  const [kept] = await keptMail(pool);
  const hop = "Received: from a.test by b.test; Thu, 1 Jan 2026 00:00:00 +0000\r\n";
  assert.match(await talk.mail(hop + kept!.raw), /^554 5\.4\.6 this mail has been here before/);
  assert.match(await talk.mail(hop.repeat(51) + HEADER), /^554 5\.4\.6 the mail has too many Received lines/);
  assert.match(await talk.mail(hop.repeat(50) + HEADER), /^250/);
  assert.match(await talk.mail(`${HEADER}\r\nReceived: by x with SMTP id ${TEST_MARK}1; now\r\n`), /^250/);
  talk.end();
});

test("a repeated mail is the same submission: by its key for ever, by its content for a day", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const talks = await Promise.all(Array.from({ length: 10 }, () => Talk.with(port)));
  const [talk] = talks;
  const named = `${HEADER}X-Postlane-Idempotency-Key: order-1\r\n\r\nx\r\n`;
  const together = await Promise.all(talks.map((each) => each.mail(named)));
  const accepted = new Set(together.filter((reply) => reply.startsWith("250")));
  assert.equal(accepted.size, 1);
  for (const reply of together) assert.match(reply, /^250 2\.0\.0 sub_|^451 4\.3\.0 the same mail is being taken in/);
  assert.equal(await talk!.mail(named), [...accepted][0]);
  assert.match(await talk!.mail(named.replace("\r\nx\r\n", "\r\ny\r\n")), /^554 5\.6\.0 this idempotency key was used/);
  const plain = `${HEADER}\r\nplain\r\n`;
  const first = await talk!.mail(plain, ["ann@example.com", "bob@example.com"]);
  assert.equal(await talk!.mail(plain, ["bob@example.com", "ann@example.com"]), first);
  assert.notEqual(await talk!.mail(plain), first, "other recipients are another mail");
  assert.notEqual(await talk!.mail(`${plain}more\r\n`, ["ann@example.com", "bob@example.com"]), first);
  await pool.query("UPDATE postlane.idempotency_key SET expires_at = now() - interval '1 second'");
  assert.notEqual(await talk!.mail(plain, ["ann@example.com", "bob@example.com"]), first, "a day later");
  const nameless = "From: a@example.com\r\n\r\ndisk full\r\n";
  assert.notEqual(
    await talk!.mail(nameless),
    await talk!.mail(nameless),
    "without a Message-ID nothing says it is the same",
  );
  for (const each of talks) each.end();
});

test("refusals of the rules of entry come in SMTP's terms", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const talk = await Talk.with(port);
  const withHeader = (line: string): Promise<string> => talk.mail(`${line}\r\n${HEADER}\r\n`);
  assert.equal(
    await withHeader("X-Postlane-Lane: no'such\x1b"),
    "554 5.6.0 X-Postlane-Lane must stand once, with 1 to 256 characters of ASCII",
  );
  assert.match(
    await withHeader("X-Postlane-Lane: nosuch"),
    /^554 5\.6\.0 there is no such lane\. Lanes: transactional, bulk\./,
  );
  assert.match(
    await withHeader("X-Postlane-Expires-At: tomorrow"),
    /^554 5\.6\.0 X-Postlane-Expires-At must be a time/,
  );
  assert.match(await withHeader("X-Postlane-Expires-At: 2020-01-01T00:00:00Z"), /^554 5\.6\.0 X-Postlane-Expires-At/);
  assert.match(await withHeader(`X-Postlane-Idempotency-Key: ${"k".repeat(257)}`), /^554 5\.6\.0 X-Postlane-Idem/);
  assert.match(await withHeader(" goes on"), /^554 5\.6\.0 the mail begins with a line/);
  assert.match(await withHeader("x".repeat(300_000)), /^554 5\.6\.0 the header is longer than 256 KiB/);
  await pool.query("UPDATE postlane.lane SET full_because = 'too much waits' WHERE name = 'bulk'");
  assert.match(await withHeader("X-Postlane-Lane: bulk"), /^452 4\.3\.1 the queue of this lane is full/);
  assert.match(await withHeader("X-Other: transactional"), /^250/);
  assert.equal((await keptMail(pool)).length, 1);
  talk.end();
});

test("a key's lanes and domains bind what it sends; its first lane is its default", async (t) => {
  const { pool } = await testDatabase(t);
  const { port, ports } = await openDoor(t, pool, { listeners: [{ kind: "smtp" }, { kind: "smtp", lane: "bulk" }] });
  const key = await keyFor(pool, { lanes: ["bulk"], from_domains: ["example.com"], gets_notices: false });
  const talk = await Talk.with(port);
  assert.match(await talk.say(`AUTH PLAIN ${key.plain}`), /^235 2\.7\.0/);
  assert.match(await talk.mail(`${HEADER}\r\n1\r\n`), /^250/);
  const bad = "550 5.7.1 this key may not send mail from this domain";
  assert.equal(await talk.mail(HEADER, ["ann@example.com"], "site@example.net"), bad);
  await talk.say("RSET");
  assert.equal(await talk.mail(HEADER.replace("site@", "site@evil."), ["ann@example.com"]), bad);
  assert.match(
    await talk.mail(`From: other@example.com\r\n${HEADER}`),
    /^550 5\.7\.1 this key is for some domains only/,
  );
  assert.match(await talk.mail(`no field\r\n${HEADER}`), /^550 5\.7\.1 this key is for some domains only/);
  assert.equal(
    await talk.mail(`X-Postlane-Lane: transactional\r\n${HEADER}`),
    "550 5.7.1 this key may not use this lane",
  );
  const reader = await keyFor(pool, { scope: "read" });
  const other = await Talk.with(port);
  assert.match(await other.say(`AUTH PLAIN ${reader.plain}`), /^535 5\.7\.8 this key may read and not send/);
  const third = await Talk.with(ports[1]!);
  assert.match(await third.mail(`${HEADER}\r\n3\r\n`), /^250/);
  const kept = await keptMail(pool);
  assert.deepEqual(
    kept.map(({ credential, lanes, mail }) => ({ credential, lanes, silent: mail.is_silent })),
    [
      { credential: key.credential, lanes: ["bulk"], silent: true },
      { credential: "loopback", lanes: ["bulk"], silent: undefined },
    ],
  );
  assert.match(kept[0]!.raw, /with ESMTPA id/);
  for (const each of [talk, other, third]) each.end();
});

test("a key's rate is kept, and said in time", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const { plain } = await keyFor(pool, { max_rate: 1 });
  const talk = await Talk.with(port);
  await talk.say(`AUTH PLAIN ${plain}`);
  const replies: string[] = [];
  for (let count = 0; count < 5; count++) replies.push(...(await talk.sayAll("MAIL FROM:<>", "RSET")));
  assert.match(replies[0]!, /^250/);
  assert.ok(replies.some((reply) => /^450 4\.7\.1 this key sends faster than it may, try again in \d+ s$/.test(reply)));
  talk.end();
});

test("nothing that a client says of itself gets into the trace field unexamined", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  for (const [helo, written] of [
    ["web1.example.com", "web1.example.com"],
    ["[IPv6:2001:db8::1]", "[ipv6:2001:db8::1]"],
    ["(comment)", "unknown"],
    ["a;b", "unknown"],
    ["\xc3\xbc", "unknown"],
  ] as const) {
    const talk = await Talk.at(port);
    await talk.say(`HELO ${helo}`);
    assert.match(await talk.mail(`X-Helo: ${helo}\r\n\r\n`), /^250/);
    const kept = (await keptMail(pool)).at(-1)!;
    assert.ok(
      kept.raw.startsWith(`Received: from ${written} ([127.0.0.1])\r\n\tby door.test (Postlane) with SMTP id `),
      kept.raw,
    );
    talk.end();
  }
});
