// The front at work on what comes back: the door that it opens, the loop that judges, the row that cannot be taken, and
// what it says at the start.

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { createTransport } from "nodemailer";
import { systemClock } from "../../src/platform/clock.ts";
import { createReturnsLoop } from "../../src/returns/returns-loop.ts";
import { readReturnFigures } from "../../src/returns/return-counts.ts";
import { pruneJudged } from "../../src/returns/return-store.ts";
import { startFakeDns } from "../rig/fake-dns.ts";
import { storyOf, untilEvent } from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import {
  byDoor,
  DAY_MS,
  judgementsOf,
  judgeOf,
  logLine,
  noticeFor,
  RETURNS_DOMAIN,
  sentMail,
  takeAll,
} from "../rig/returned-mail.ts";
import { endWithTest, lineOf, startCommand, startSupervised } from "./cli-command.ts";

const RELAY = "outlets: { relay: { type: smtp, hosts: ['127.0.0.1:1'] } }\nlanes: { bulk: { outlets: [relay] } }\n";

function configure({ dataDir }: TestDatabase, text: string): void {
  writeFileSync(
    path.join(dataDir, "postlane.yaml"),
    `data_dir: ${dataDir}\nlisten: { http: off, returns: "127.0.0.1:0" }\n${text}`,
  );
}

/** The first line that the child tells its supervisor and that matches. */
async function toldLine(child: ChildProcess, pattern: RegExp): Promise<string> {
  return await new Promise((resolve, reject) => {
    child.on("message", (message: { readonly kind: string; readonly line?: string }) => {
      if (message.kind === "told" && pattern.test(message.line!)) resolve(message.line!);
    });
    child.once("close", () => reject(new Error("it ended without a word")));
  });
}

test("the front opens the door, judges what comes in, and warns of a domain that takes no mail", async (t) => {
  const database = await testDatabase(t);
  const dns = await startFakeDns(t, { [RETURNS_DOMAIN]: { kind: "records" } });
  configure(database, `returns: { domain: ${RETURNS_DOMAIN} }\nresolvers: ["${dns.address}"]\n${RELAY}`);
  const mail = await sentMail(await judgeOf(database.pool));
  const front = startSupervised(database, ["front"]);
  endWithTest(t, front);
  const warned = toldLine(front, /WARNING: returns\.domain returns\.news\.example takes no mail/);
  const opened = JSON.parse(await lineOf(front, /returns_door\.opened/, "stderr")) as { readonly port: number };
  const transport = createTransport({ host: "127.0.0.1", port: opened.port, ignoreTLS: true });
  const raw = noticeFor(mail, { status: "5.1.1", reportingMta: "mx.example.com" });
  await transport.sendMail({ envelope: { from: "", to: [mail.returnPath] }, raw });
  await untilEvent(database.pool, mail.id, "bounced");
  await warned;
  assert.deepEqual((await readReturnFigures(database.pool)).judged, { bounced: 1 });
  front.kill("SIGTERM");
  const [exitCode] = await once(front, "close");
  assert.equal(exitCode, 0);
});

test("a door that cannot listen is told, and the front goes on", async (t) => {
  const database = await testDatabase(t);
  const dns = await startFakeDns(t, { [RETURNS_DOMAIN]: { kind: "records", MX: ["mx.example"] } });
  configure(database, `returns: { domain: ${RETURNS_DOMAIN} }\nresolvers: ["${dns.address}"]\n${RELAY}`);
  const mail = await sentMail(await judgeOf(database.pool));
  const first = startSupervised(database, ["front"]);
  endWithTest(t, first);
  const { port } = JSON.parse(await lineOf(first, /returns_door\.opened/, "stderr")) as { readonly port: number };
  writeFileSync(
    path.join(database.dataDir, "postlane.yaml"),
    `listen: { http: off, returns: "127.0.0.1:${port}" }\nreturns: { domain: ${RETURNS_DOMAIN} }\nresolvers: ["${dns.address}"]\n${RELAY}`,
  );
  const second = startSupervised(database, ["front"]);
  endWithTest(t, second);
  await toldLine(second, /the returns door cannot listen on 127\.0\.0\.1:\d+ .*EADDRINUSE.*listen\.returns/);
  first.kill("SIGTERM");
  await once(first, "close");
  await logLine(database.pool, mail);
  await untilEvent(database.pool, mail.id, "delivered");
});

test("without returns.domain `up` says that nothing comes home, once an outlet sends mail out", async (t) => {
  const database = await testDatabase(t);
  configure(database, RELAY);
  const up = startCommand(database, ["up"]);
  endWithTest(t, up);
  await lineOf(up, /^nothing comes home: .*returns\.domain/);
  up.kill("SIGTERM");
  await once(up, "close");
});

test("a row that cannot be taken is set aside with the error, and the others are taken", async (t) => {
  const { pool } = await testDatabase(t);
  const errors: unknown[] = [];
  const log = {
    debug() {},
    info() {},
    warn() {},
    error: (event: string, fields?: unknown) => void errors.push([event, fields]),
  };
  const context = { ...(await judgeOf(pool)), log };
  const [before, poison, after] = [await sentMail(context), await sentMail(context), await sentMail(context)];
  await pool.query(
    `CREATE FUNCTION postlane.refuse() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'not this one' USING ERRCODE = '22023'; END $$`,
  );
  await pool.query(
    `CREATE TRIGGER refuse BEFORE INSERT ON postlane.event FOR EACH ROW WHEN (NEW.message_id = ${poison.id})
     EXECUTE FUNCTION postlane.refuse()`,
  );
  for (const mail of [before, poison, after]) await logLine(pool, mail);
  const take = createReturnsLoop(context, systemClock);
  await take();
  assert.equal((await storyOf(pool, before.id)).at(-1)?.kind, "delivered");
  assert.equal((await storyOf(pool, after.id)).at(-1)?.kind, "delivered");
  assert.equal((await storyOf(pool, poison.id)).at(-1)?.kind, "sent");
  assert.deepEqual(await judgementsOf(pool), ["failed"]);
  assert.match(JSON.stringify(errors), /returns\.failed.*not this one/);
});

test("a server that is gone is no row's fault: everything is there when it is back", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  const mail = await sentMail(context);
  await logLine(pool, mail);
  const take = createReturnsLoop(context, systemClock);
  await pool.query("ALTER TABLE postlane.return RENAME TO return_away");
  await assert.rejects(take());
  await pool.query("ALTER TABLE postlane.return_away RENAME TO return");
  await take();
  assert.equal((await storyOf(pool, mail.id)).at(-1)?.kind, "delivered");
});

test("judged notices are kept as long as the other side may report back, and then go", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  const mail = await sentMail(context);
  for (let count = 0; count < 3; count++) await byDoor(pool, mail.returnPath, noticeFor(mail));
  await takeAll(context);
  await byDoor(pool, mail.returnPath, noticeFor(mail));
  await pool.query("UPDATE postlane.return SET judged_at = judged_at - interval '9 days' WHERE id <= 2");
  assert.equal(await pruneJudged(pool, 8 * DAY_MS, 1), 1);
  assert.equal(await pruneJudged(pool, 8 * DAY_MS, 100), 1);
  assert.equal(await pruneJudged(pool, 8 * DAY_MS, 100), 0);
  assert.equal((await judgementsOf(pool)).length, 2);
  const figures = await readReturnFigures(pool);
  assert.equal(figures.waiting, 1);
});
