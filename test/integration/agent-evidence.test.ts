// What a real Postfix's log and queue say of attempts that got no reply to their final dot: a connection that is cut
// before the dot and after it, also when the active queue is full and accepted mail has no line of its own.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { MessageId } from "../../src/mail/ids.ts";
import { returnPathOf } from "../../src/mail/return-token.ts";
import { until } from "../rig/lane-mail.ts";
import { needsPostfix, startPostfix, type PostfixOptions } from "../rig/postfix.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { beginMail, connectRaw, CONTENT, sendMail, type RawSmtp } from "../rig/raw-smtp.ts";
import { SILENCE, startScriptedSink } from "../rig/scripted-sink.ts";
import { startSmtpSink } from "../rig/smtp-sink.ts";
import { AS_MADE, OUTLET, RETURNS_DOMAIN, returnsOf, startAgent } from "./agent-rig.ts";
import { enqueue } from "./cli-command.ts";

/** An agent without the key never checks it. */
const NO_KEY = (): Uint8Array => new Uint8Array(32);
const ATTEMPT = 1;

test("cut before the dot: not accepted", async (t) => {
  if (!needsPostfix(t)) return;
  const rig = await startRig(t);
  const { smtp, question } = await rig.begin();
  await smtp.write(CONTENT);
  smtp.cut();
  await question.ask();
  assert.deepEqual(await question.verdict(), ["not_accepted"]);
});

test("cut after the reply to the dot was on its way: accepted, by the queue manager's line", async (t) => {
  if (!needsPostfix(t)) return;
  const rig = await startRig(t);
  const { smtp, question } = await rig.begin();
  await smtp.write(CONTENT);
  assert.match(await smtp.say("."), /^250/);
  smtp.cut();
  await question.ask();
  assert.deepEqual(await question.verdict(), ["accepted"]);
  assert.match(await question.grounds(), /queue manager logged/);
});

test("dot and reset at once, again and again: whatever became of each, the verdict is that or none", async (t) => {
  if (!needsPostfix(t)) return;
  const rig = await startRig(t);
  const tries = [];
  for (let n = 0; n < 8; n++) {
    const { smtp, question } = await rig.begin();
    // More or less of the content before the dot: the reset meets it at another place each time.
    await smtp.write(CONTENT + "x".repeat(n * 8000).replaceAll(/x{70}/g, "$&\r\n"));
    void smtp.write("\r\n.\r\n");
    smtp.cut();
    await question.ask();
    tries.push(question);
  }
  for (const question of tries) {
    const [verdict] = await question.verdict();
    const isAccepted = rig.postfix.log().includes(`from=<${question.returnPath}>`);
    assert.equal(verdict, isAccepted ? "accepted" : "not_accepted", rig.postfix.log());
  }
});

test("the active queue is full: a message that was accepted has no line, and its file tells", async (t) => {
  if (!needsPostfix(t)) return;
  const silent = await startScriptedSink(t, { answer: ({ verb }) => (verb === "BANNER" ? SILENCE : undefined) });
  const rig = await startRig(t, {
    relayTo: { host: "127.0.0.1", port: silent.port },
    mainCf: { qmgr_message_active_limit: "1" },
  });
  const plug = await connectRaw(rig.postfix.host, rig.postfix.port);
  for (const n of [1, 2]) {
    assert.match(await sendMail(plug, "plug@shop.example", `stuck${n}@shop.example`), /^250/);
  }
  plug.cut();
  await until("the active queue is full", () => rig.postfix.log().includes("from=<plug@shop.example>"));

  const accepted = await rig.begin();
  await accepted.smtp.write(CONTENT);
  assert.match(await accepted.smtp.say("."), /^250/);
  accepted.smtp.cut();
  await accepted.question.ask();
  const refused = await rig.begin();
  await refused.smtp.write(CONTENT);
  refused.smtp.cut();
  await refused.question.ask();

  assert.deepEqual(await accepted.question.verdict(), ["accepted"]);
  assert.match(await accepted.question.grounds(), /finished queue file/);
  assert.deepEqual(await refused.question.verdict(), ["not_accepted"]);
  assert.ok(!rig.postfix.log().includes(`from=<${accepted.question.returnPath}>`), "it had no line of its own");
});

test("a session that is still open tells nothing, and neither does one that the log does not show", async (t) => {
  if (!needsPostfix(t)) return;
  const rig = await startRig(t);
  const open = await rig.begin();
  await open.smtp.write(CONTENT);
  await open.question.ask();
  const unseen = await rig.begin();
  unseen.smtp.cut();
  await unseen.question.ask(1);
  const witness = await rig.begin();
  witness.smtp.cut();
  await witness.question.ask();
  assert.deepEqual(await witness.question.verdict(), ["not_accepted"]);
  assert.deepEqual(await open.question.verdicts(), []);
  assert.deepEqual(await unseen.question.verdicts(), []);
  open.smtp.cut();
  assert.deepEqual(await open.question.verdict(), ["not_accepted"]);
});

test("an agent that was away finds out from what stands in the log", async (t) => {
  if (!needsPostfix(t)) return;
  const rig = await startRig(t);
  await rig.stopAgent();
  const cut = await rig.begin();
  await cut.smtp.write(CONTENT);
  cut.smtp.cut();
  await cut.question.ask();
  const taken = await rig.begin();
  await taken.smtp.write(CONTENT);
  assert.match(await taken.smtp.say("."), /^250/);
  taken.smtp.cut();
  await taken.question.ask();
  await rig.startAgent();
  assert.deepEqual(await cut.question.verdict(), ["not_accepted"]);
  assert.deepEqual(await taken.question.verdict(), ["accepted"]);
});

test("a relay that was started anew meanwhile leaves it open", async (t) => {
  if (!needsPostfix(t)) return;
  const rig = await startRig(t);
  await rig.stopAgent();
  const before = await rig.begin();
  await before.smtp.write(CONTENT);
  before.smtp.cut();
  await before.question.ask();
  await until("the session has ended", () => /disconnect from/.test(rig.postfix.log()));
  await rig.postfix.restart();
  await rig.startAgent();
  const after = await rig.begin();
  await after.smtp.write(CONTENT);
  after.smtp.cut();
  await after.question.ask();
  assert.deepEqual(await after.question.verdict(), ["not_accepted"]);
  assert.deepEqual(await before.question.verdicts(), []);
});

interface Question {
  readonly returnPath: string;
  /** The dispatcher has found that it cannot tell. `port`: another one than the connection's. */
  ask(port?: number): Promise<void>;
  /** As soon as there is one. */
  verdict(): Promise<readonly unknown[]>;
  verdicts(): Promise<readonly unknown[]>;
  grounds(): Promise<string>;
}

async function startRig(t: TestContext, options: Partial<PostfixOptions> = {}) {
  const database = await testDatabase(t);
  const relayTo = options.relayTo ?? (await startSmtpSink(t));
  const postfix = await startPostfix(t, { relayTo, mainCf: { ...AS_MADE, ...options.mainCf } });
  const start = () => startAgent(t, database, postfix, { returnsDomain: RETURNS_DOMAIN });
  let agent = await start();
  return {
    postfix,
    startAgent: async () => void (agent = await start()),
    stopAgent: () => agent.kill(),
    async begin(): Promise<{ readonly smtp: RawSmtp; readonly question: Question }> {
      const id = Number((await enqueue(database)).slice("msg_".length)) as MessageId;
      const returnPath = returnPathOf({ messageId: id, attempt: ATTEMPT }, RETURNS_DOMAIN, NO_KEY);
      const smtp = await connectRaw(postfix.host, postfix.port);
      t.after(() => smtp.cut());
      await beginMail(smtp, returnPath, "ann@shop.example");
      return { smtp, question: questionOf(database, id, returnPath, smtp.port) };
    },
  };
}

function questionOf(database: TestDatabase, id: MessageId, returnPath: string, ownPort: number): Question {
  const mine = async () =>
    (await returnsOf(database, "evidence")).map(({ body }) => body).filter((body) => body["message_id"] === id);
  const verdicts = async () => (await mine()).map((body) => body["verdict"]);
  return {
    returnPath,
    async ask(port = ownPort) {
      await database.pool.query("UPDATE postlane.queue SET state = 'unknown', attempts = $2 WHERE message_id = $1", [
        id,
        ATTEMPT,
      ]);
      await database.pool.query(
        "INSERT INTO postlane.event (message_id, attempt, kind, outlet, client_port) VALUES ($1, $2, 'unknown', $3, $4)",
        [id, ATTEMPT, OUTLET, port],
      );
    },
    async verdict() {
      await until(`evidence of message ${id}`, async () => (await mine()).length > 0);
      return await verdicts();
    },
    verdicts,
    grounds: async () => String((await mine())[0]?.["grounds"]),
  };
}
