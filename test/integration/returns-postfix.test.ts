// A real Postfix that is MX for the domain of the return paths, set up by the lines of the guide: it hands notices on to
// the door, turns away what is no return path, and keeps what the door cannot take at the moment.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { createTransport } from "nodemailer";
import { openReturnsDoor } from "../../src/doors/returns/returns-door.ts";
import { silentLog } from "../../src/platform/log.ts";
import { keepReturn } from "../../src/returns/return-store.ts";
import { until } from "../rig/lane-mail.ts";
import { needsPostfix, startPostfix } from "../rig/postfix.ts";
import { testDatabase } from "../rig/postgres.ts";
import { newsletter } from "../rig/unsubscribe.ts";
import { judgementsOf, judgeOf, noticeFor, RETURNS_DOMAIN, sentMail, takeAll } from "../rig/returned-mail.ts";

const GUIDE = path.resolve(import.meta.dirname, "../../../docs/guides/returns-door.md");

/** The settings of the guide, for this door. */
function guideSettings(port: number): Readonly<Record<string, string>> {
  const block = /```ini\n# main\.cf\n([\s\S]*?)```/.exec(readFileSync(GUIDE, "utf8"))?.[1] ?? "";
  const settings = block
    .trim()
    .split("\n")
    .map((line) => line.split(/ = (.*)/).slice(0, 2) as [string, string])
    .map(([name, value]) => [
      name,
      value
        .replaceAll("returns.example.com", RETURNS_DOMAIN)
        .replaceAll(String.raw`returns\.example\.com`, RETURNS_DOMAIN.replaceAll(".", String.raw`\.`))
        .replaceAll(":2526", `:${port}`),
    ]);
  assert.equal(settings.length, 3, "the guide's lines were not found");
  return Object.fromEntries(settings) as Readonly<Record<string, string>>;
}

test("the MX of the guide hands on, and waits while nothing can be kept", async (t) => {
  if (!needsPostfix(t)) return;
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  const door = await openReturnsDoor(
    { listen: { host: "127.0.0.1", port: 0 }, domain: RETURNS_DOMAIN },
    { keep: (mail) => keepReturn(pool, mail), log: silentLog },
  );
  t.after(() => door.close());
  const mainCf = { ...guideSettings(door.port), smtpd_relay_restrictions: "reject_unauth_destination" };
  const postfix = await startPostfix(t, { relayTo: { host: "127.0.0.1", port: 1 }, mainCf });
  const outside = createTransport({ host: postfix.host, port: postfix.port, ignoreTLS: true });
  const send = async (to: string, raw: string): Promise<void> => {
    await outside.sendMail({ envelope: { from: "", to: [to] }, raw });
  };

  const first = await sentMail(context);
  await send(first.returnPath, noticeFor(first, { status: "5.1.1", reportingMta: "mx.example.com" }));
  await until("the notice is kept", async () => (await judgementsOf(pool)).length === 1);
  await takeAll(context);
  assert.deepEqual(await judgementsOf(pool), ["bounced"]);
  await assert.rejects(send(`ann@${RETURNS_DOMAIN}`, "Subject: x\r\n\r\nx"), /550/);

  await pool.query("ALTER TABLE postlane.return RENAME TO return_away");
  const second = await sentMail(context);
  await send(second.returnPath, noticeFor(second, { status: "5.1.1", reportingMta: "mx.example.com" }));
  await until("the MX was put off", () => /status=deferred .*451 4\.3\.0/.test(postfix.log()));
  await pool.query("ALTER TABLE postlane.return_away RENAME TO return");
  await until("the notice is kept", async () => {
    // Its next try would be in minutes. Asked for again and again: the log says "deferred" before the queue manager has put
    // the mail back, and what it still holds is not flushed.
    await promisify(execFile)("/usr/sbin/postqueue", ["-c", postfix.configDir, "-f"]);
    return (await judgementsOf(pool)).length === 2;
  });
  await takeAll(context);
  assert.deepEqual(await judgementsOf(pool), ["bounced", "bounced"]);

  const { token } = await newsletter(pool);
  await send(`u+${token}@${RETURNS_DOMAIN}`, "Subject: unsubscribe\r\n\r\nunsubscribe");
  await until("the unsubscribe is kept", async () => (await judgementsOf(pool)).length === 3);
  await takeAll(context);
  assert.deepEqual(await judgementsOf(pool), ["bounced", "bounced", "unsubscribed"]);
});
