// The front is killed while 50 clients submit by SMTP: everything that was answered with success is there, once; what was
// not answered is sent again as it was, to the next front, and is there once.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { testDatabase } from "../rig/postgres.ts";
import { endWithTest, lineOf, startSupervised } from "./cli-command.ts";
import { keptMail, Talk } from "./smtp-rig.ts";

const CLIENTS = 50;
const MAILS_EACH = 20;
/** Killed once so many were answered: amid the others. */
const KILLED_AFTER = 150;

test("a killed front loses nothing that it has answered, and doubles nothing that is sent again", async (t) => {
  const database = await testDatabase(t);
  const first = startSupervised(database, ["front"]);
  endWithTest(t, first);
  const port = await smtpPortOf(first);
  const submissions = new Map<string, string>();
  const unanswered: string[] = [];

  const submit = async (client: number): Promise<void> => {
    const talk = await Talk.with(port).catch(() => undefined);
    for (let count = 0; count < MAILS_EACH; count++) {
      const id = `${client}.${count}@clients.test`;
      const reply = (await talk?.mail(mailOf(id))) ?? "closed";
      const [, submission] = /^250 2\.0\.0 (sub_\d+) queued$/.exec(reply) ?? [];
      if (submission === undefined) unanswered.push(id);
      else submissions.set(id, submission);
      if (submissions.size === KILLED_AFTER) first.kill("SIGKILL");
    }
    talk?.end();
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, client) => submit(client)));
  assert.ok(submissions.size >= KILLED_AFTER && unanswered.length > 0, `${submissions.size} were answered`);
  if (first.exitCode === null && first.signalCode === null) await once(first, "close");

  const second = startSupervised(database, ["front"]);
  endWithTest(t, second);
  const talk = await Talk.with(await smtpPortOf(second));
  for (const id of unanswered) {
    const [, submission] = /^250 2\.0\.0 (sub_\d+) queued$/.exec(await talk.mail(mailOf(id))) ?? [];
    assert.ok(submission !== undefined);
    submissions.set(id, submission);
  }
  talk.end();
  const kept = await keptMail(database.pool);
  const ids = kept.map(({ id, raw }) => [/^Message-ID: <(.*)>\r$/m.exec(raw)?.[1], `sub_${id}`] as const);
  assert.equal(ids.length, CLIENTS * MAILS_EACH);
  assert.deepEqual(
    new Map(ids as readonly (readonly [string, string])[]),
    new Map([...submissions].toSorted(byNumber)),
  );

  function byNumber([, one]: readonly [string, string], [, other]: readonly [string, string]): number {
    return Number(one.slice(4)) - Number(other.slice(4));
  }
});

const mailOf = (id: string): string => `From: a@clients.test\r\nMessage-ID: <${id}>\r\nSubject: x\r\n\r\nx\r\n`;

async function smtpPortOf(front: Parameters<typeof lineOf>[0]): Promise<number> {
  return (JSON.parse(await lineOf(front, /smtp\.opened/, "stderr")) as { readonly port: number }).port;
}
