// The programs that websites and people send with, each through the SMTP door into the database, and what was kept read
// again by a parser that is not ours: Nodemailer, Python's smtplib, swaks, and Postfix as a client that relays to us; with
// a route that leads back, which is the first mistake that people make.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { createTransport } from "nodemailer";
import PostalMime from "postal-mime";
import { needs } from "../rig/needs.ts";
import { needsPostfix, startPostfix } from "../rig/postfix.ts";
import { testDatabase } from "../rig/postgres.ts";
import { keptMail, keyFor, openDoor, Talk, withoutReceived, type KeptRow } from "./smtp-rig.ts";

const run = promisify(execFile);

test("Nodemailer, pooled, with an attachment and a name beyond ASCII", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const { token, credential } = await keyFor(pool);
  const transport = createTransport({
    host: "127.0.0.1",
    port,
    pool: true,
    maxConnections: 5,
    auth: { user: "site", pass: token },
  });
  const attachment = Buffer.from(Array.from({ length: 4096 }, (_, index) => index % 256));
  const sent = await Promise.all(
    Array.from({ length: 20 }, (_, count) =>
      transport.sendMail({
        from: "Jörg <site@example.com>",
        to: ["ann@example.com", "bob@example.net"],
        bcc: "eve@example.org",
        subject: `Grüße ${count}`,
        text: ".\n..\n",
        attachments: [{ filename: "a.bin", content: attachment }],
      }),
    ),
  );
  transport.close();
  for (const { response } of sent) assert.match(response, /^250 2\.0\.0 sub_\d+ queued$/);
  const kept = await keptMail(pool);
  assert.equal(kept.length, 20);
  for (const row of kept) {
    const mail = await parsed(row);
    assert.match(mail.subject ?? "", /^Grüße \d+$/);
    assert.equal(mail.from?.name, "Jörg");
    assert.equal(mail.bcc, undefined);
    assert.match(mail.text ?? "", /^\.\r?\n\.\.\r?\n/);
    assert.ok(Buffer.from(mail.attachments[0]!.content as ArrayBuffer).equals(attachment));
    assert.deepEqual(row.recipients, ["ann@example.com", "bob@example.net", "eve@example.org"]);
    assert.equal(row.credential, credential);
  }
});

test("Python's smtplib, over STARTTLS with a key", async (t) => {
  if (!needs(t, "python3")) return;
  const { pool, dataDir } = await testDatabase(t);
  const [certFile, keyFile] = ["cert.pem", "key.pem"].map((name) => {
    const file = path.join(dataDir, name);
    copyFileSync(new URL(`../../../test/fixtures/tls/${name}`, import.meta.url), file);
    return file;
  });
  const certificate = { certFile: certFile!, keyFile: keyFile! };
  const { port } = await openDoor(t, pool, { listeners: [{ kind: "submission" }], certificate });
  const { token } = await keyFor(pool);
  const script = `
import smtplib, ssl, sys
from email.message import EmailMessage
mail = EmailMessage()
mail["From"], mail["To"], mail["Subject"] = "site@example.com", "ann@example.com", "Grüße"
mail["X-Postlane-Lane"] = "bulk"
mail.set_content("Hello Ann\\n.\\n.hidden\\n")
with smtplib.SMTP("localhost", ${port}) as smtp:
    smtp.starttls(context=ssl.create_default_context(cafile=${JSON.stringify(certFile)}))
    smtp.login("anybody", sys.argv[1])
    print(smtp.send_message(mail))
`;
  const { stdout } = await run("/usr/bin/python3", ["-c", script, token]);
  assert.equal(stdout.trim(), "{}");
  const [row] = await keptMail(pool);
  const mail = await parsed(row!);
  assert.deepEqual([mail.subject, mail.text], ["Grüße", "Hello Ann\n.\n.hidden\n"]);
  assert.match(mail.messageId ?? "", /@site\.test>$/);
  assert.deepEqual(row?.lanes, ["bulk"]);
});

test("swaks, with AUTH LOGIN, and what it says of a refusal", async (t) => {
  if (!needs(t, "swaks")) return;
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const { token, credential } = await keyFor(pool);
  const words = [
    "--server",
    "127.0.0.1",
    "--port",
    String(port),
    "--from",
    "site@example.com",
    "--to",
    "ann@example.com",
  ];
  const { stdout } = await run("/usr/bin/swaks", [
    ...words,
    "-a",
    "LOGIN",
    "-au",
    "site",
    "-ap",
    token,
    "--body",
    "one\n.two",
  ]);
  assert.match(stdout, /235 2\.7\.0 [\s\S]*250 2\.0\.0 sub_\d+ queued/);
  const [row] = await keptMail(pool);
  assert.equal(row?.credential, credential);
  assert.match((await parsed(row)).text ?? "", /one\r?\n\.two/);
  const refused = run("/usr/bin/swaks", [...words, "-a", "PLAIN", "-au", "site", "-ap", `${token}x`]);
  await assert.rejects(refused, ({ stdout: said }: { readonly stdout: string }) =>
    said.includes("535 5.7.8 no such key"),
  );
});

test("Postfix relays to us what it has, octet for octet; and a route that leads back ends with 5.4.6", async (t) => {
  if (!needsPostfix(t)) return;
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const postfix = await startPostfix(t, { relayTo: { host: "127.0.0.1", port } });
  const talk = await Talk.with(postfix.port);
  const body = `${"long ".repeat(190)}\r\n.\r\n..dots\r\n\xff\xfe\r\nlast\r\n`;
  assert.match(
    await talk.mail(`From: a@example.com\r\nMessage-ID: <p1@example.com>\r\nSubject: through\r\n\r\n${body}`, [
      "ann@example.com",
      "bob@example.com",
    ]),
    /^250/,
  );
  await untilLogged(postfix.log, /status=sent \(250 2\.0\.0 sub_\d+ queued\)[\s\S]*status=sent/);
  const [row, ...others] = await keptMail(pool);
  assert.deepEqual(others, []);
  const rest = withoutReceived(row!.raw);
  assert.match(rest, /^(?:Date: .*\r\n)?Received: from client\.test/);
  assert.ok(rest.endsWith(`From: a@example.com\r\nMessage-ID: <p1@example.com>\r\nSubject: through\r\n\r\n${body}`));
  assert.deepEqual(row?.recipients.toSorted(), ["ann@example.com", "bob@example.com"]);
  // As the dispatcher hands it over, to a Postfix that relays to us.
  assert.match(await talk.mail(row.raw, ["ann@example.com"]), /^250/);
  await untilLogged(
    postfix.log,
    /status=bounced \(host 127\.0\.0\.1\[127\.0\.0\.1\] said: 554 5\.4\.6 this mail has been here/,
  );
  assert.equal((await keptMail(pool)).length, 1 + noticesOf(await keptMail(pool)));
  talk.end();
});

/** What Postfix itself says to the sender of what bounced comes to us as well: it relays everything. */
function noticesOf(rows: readonly KeptRow[]): number {
  return rows.filter(({ mail }) => mail.sender === "").length;
}

async function untilLogged(log: () => string, pattern: RegExp): Promise<void> {
  const endsAtMs = performance.now() + 30_000;
  while (!pattern.test(log())) {
    if (performance.now() > endsAtMs) throw new Error(`not in the log: ${pattern}\n${log()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function parsed({ raw }: KeptRow) {
  return await PostalMime.parse(Buffer.from(raw, "latin1"));
}
