// A real instance as `postlane postfix init` makes it, and its agent: what it cannot deliver comes home as a notice and
// as a line of its log, both under the return path of the attempt.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageId } from "../../src/mail/ids.ts";
import { returnPathOf } from "../../src/mail/return-token.ts";
import { until } from "../rig/lane-mail.ts";
import { startPostfixInstances } from "../rig/postfix-instances.ts";
import { needsPostfix } from "../rig/postfix.ts";
import { testDatabase } from "../rig/postgres.ts";
import { connectRaw, sendMail } from "../rig/raw-smtp.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";
import { returnsOf, startAgent, untilReading } from "./agent-rig.ts";

const DOMAIN = "returns.test";

test("what an instance of ours cannot deliver comes home as a notice and as a line of its log", async (t) => {
  if (!needsPostfix(t)) return;
  const database = await testDatabase(t);
  const refusing = await startScriptedSink(t, {
    answer: ({ verb }) => (verb === "RCPT" ? "550 5.1.1 no such user" : undefined),
  });
  const rig = await startPostfixInstances(t, {
    instances: { bulk: "bulk" },
    returnsDomain: DOMAIN,
    relayTo: { host: "127.0.0.1", port: refusing.port },
  });
  const bulk = rig.get("bulk");
  await startAgent(t, database, bulk, { returnsDomain: DOMAIN });
  const returnPath = returnPathOf({ messageId: 4711 as MessageId, attempt: 1 }, DOMAIN, () => new Uint8Array(32));
  const smtp = await connectRaw(bulk.host, bulk.port);
  const [, queueId] = /queued as (\S+)/.exec(await sendMail(smtp, returnPath, "ann@nowhere.example"))!;
  await smtp.say("QUIT");
  await until("the notice came home", async () => (await returnsOf(database, "maildir")).length === 1);
  const [notice] = await returnsOf(database, "maildir");
  const text = notice!.raw!.toString("latin1");
  const [, reportingMta] = /^Reporting-MTA: dns; (\S+)$/m.exec(text.replaceAll("\r", ""))!;
  assert.deepEqual(notice?.body, { reporting_mta: reportingMta, recipient: returnPath });
  assert.match(text, new RegExp(`^X-Postfix-Queue-ID: ${queueId}\r?$`, "m"));
  await until("the line came home", async () => (await returnsOf(database, "log")).length > 0);
  const [line, ...others] = (await returnsOf(database, "log")).map(({ body }) => body);
  assert.deepEqual([line?.["queue_id"], line?.["return_path"], line?.["status"]], [queueId, returnPath, "bounced"]);
  assert.equal(line?.["means"], "delivered");
  assert.deepEqual(others, []);
  await until("the Maildir is empty", () => bulk.notices().length === 0);
  const { body } = await untilReading(database, "a reading", () => true);
  assert.deepEqual(body.problems, []);
});
