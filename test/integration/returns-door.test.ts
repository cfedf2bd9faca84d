// The returns door by real SMTP over loopback, with a real database behind it: what it takes and refuses, that 250
// follows the commit, that it says 4yz while it cannot keep anything, and that nothing anybody sends stops it.

import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { createTransport } from "nodemailer";
import type { Pool } from "pg";
import { KEPT_BYTES_MAX, openReturnsDoor, type ReturnsDoor } from "../../src/doors/returns/returns-door.ts";
import { silentLog } from "../../src/platform/log.ts";
import { keepReturn } from "../../src/returns/return-store.ts";
import { storyOf } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import { judgementsOf, judgeOf, noticeFor, RETURNS_DOMAIN, sentMail, takeAll } from "../rig/returned-mail.ts";

const NAMELESS = `b+aaaaaaaaaaaaaaaaaaaaaaaa@${RETURNS_DOMAIN}`;

async function doorFor(t: TestContext, pool: Pool): Promise<ReturnsDoor> {
  const door = await openReturnsDoor(
    { listen: { host: "127.0.0.1", port: 0 }, domain: RETURNS_DOMAIN },
    { keep: (mail) => keepReturn(pool, mail), log: silentLog },
  );
  t.after(() => door.close());
  return door;
}

/** One client's talk: a line, and what was answered to it. */
class Talk {
  readonly #socket: Socket;
  #said = "";
  #isClosed = false;
  #wake = (): void => {};

  constructor(door: ReturnsDoor) {
    this.#socket = connect(door.port, "127.0.0.1");
    this.#socket.setEncoding("latin1");
    this.#socket.on("error", () => {});
    this.#socket.on("data", (chunk: string) => {
      this.#said += chunk;
      this.#wake();
    });
    this.#socket.on("close", () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  static async with(door: ReturnsDoor): Promise<Talk> {
    const talk = new Talk(door);
    await talk.reply();
    await talk.say("EHLO mx.example");
    return talk;
  }

  async say(line: string | Buffer): Promise<string> {
    this.#socket.write(typeof line === "string" ? `${line}\r\n` : line);
    return await this.reply();
  }

  async mail(sender: string, recipient: string): Promise<string> {
    await this.say(`MAIL FROM:<${sender}>`);
    return await this.say(`RCPT TO:<${recipient}>`);
  }

  async content(raw: string | Buffer): Promise<string> {
    const go = await this.say("DATA");
    if (!go.startsWith("354")) return go;
    this.#socket.write(raw);
    return await this.say("\r\n.");
  }

  end(): void {
    this.#socket.destroy();
  }

  /** The last line of the next one. */
  async reply(): Promise<string> {
    for (;;) {
      const end = /^(?:\d{3}-.*\r\n)*(\d{3}(?: .*)?)\r\n/.exec(this.#said);
      if (end !== null) {
        this.#said = this.#said.slice(end[0].length);
        return end[1]!;
      }
      if (this.#isClosed) return "closed";
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

test("a notice from the outside is kept before it is answered, and judged", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  const door = await doorFor(t, pool);
  const mail = await sentMail(context);
  const transport = createTransport({ host: "127.0.0.1", port: door.port, ignoreTLS: true });
  const raw = noticeFor(mail, { status: "5.1.1", reportingMta: "mx.example.com" });
  await transport.sendMail({ envelope: { from: "", to: [mail.returnPath.toUpperCase()] }, raw });
  assert.deepEqual(await judgementsOf(pool), [null]);
  await takeAll(context);
  assert.deepEqual(await judgementsOf(pool), ["bounced"]);
  assert.deepEqual(
    (await storyOf(pool, mail.id)).map(({ kind }) => kind),
    ["sent", "bounced"],
  );
});

test("only return paths are taken; of those any, whatever the token", async (t) => {
  const { pool } = await testDatabase(t);
  const talk = await Talk.with(await doorFor(t, pool));
  for (const other of ["ann@example.com", `ann@${RETURNS_DOMAIN}`, `postmaster@${RETURNS_DOMAIN}`, "b+x@example.com"]) {
    assert.match(await talk.mail("", other), /^550 5\.1\.1/, other);
    await talk.say("RSET");
  }
  for (const one of [NAMELESS, NAMELESS.toUpperCase(), `b+x@${RETURNS_DOMAIN}`, `b+a+b@${RETURNS_DOMAIN}`]) {
    assert.match(await talk.mail("", one), /^250/, one);
    assert.match(await talk.content("Subject: hello\r\n\r\nhello"), /^250/, one);
  }
  assert.equal((await judgementsOf(pool)).length, 4);
  talk.end();
});

test("of a large mail the beginning is kept; too large is said only to a sender who hears it", async (t) => {
  const { pool } = await testDatabase(t);
  const talk = await Talk.with(await doorFor(t, pool));
  const large = Buffer.from(`Subject: large\r\n\r\n${"x".repeat(70)}\r\n`.repeat(20_000));
  await talk.mail("", NAMELESS);
  assert.match(await talk.content(large), /^250/);
  await talk.mail("ann@example.com", NAMELESS);
  assert.match(await talk.content(large), /^552 5\.3\.4/);
  const { rows } = await pool.query("SELECT octet_length(raw) AS octets FROM postlane.return");
  assert.deepEqual(
    rows.map((row) => row.octets),
    [KEPT_BYTES_MAX],
  );
  talk.end();
});

test("while the database is away it answers 4yz, and takes the same mail when it is back", async (t) => {
  const { pool } = await testDatabase(t);
  const talk = await Talk.with(await doorFor(t, pool));
  await pool.query("ALTER TABLE postlane.return RENAME TO return_away");
  await talk.mail("", NAMELESS);
  assert.match(await talk.content("Subject: one\r\n\r\none"), /^451 4\.3\.0/);
  await pool.query("ALTER TABLE postlane.return_away RENAME TO return");
  await talk.mail("", NAMELESS);
  assert.match(await talk.content("Subject: one\r\n\r\none"), /^250/);
  assert.equal((await judgementsOf(pool)).length, 1);
  talk.end();
});

test("a database that is gone altogether is no different", async (t) => {
  const { pool } = await testDatabase(t);
  let isAway = true;
  const door = await openReturnsDoor(
    { listen: { host: "127.0.0.1", port: 0 }, domain: RETURNS_DOMAIN },
    {
      keep: async (mail) => {
        if (isAway) throw new Error("connect ECONNREFUSED");
        await keepReturn(pool, mail);
      },
      log: silentLog,
    },
  );
  t.after(() => door.close());
  const talk = await Talk.with(door);
  await talk.mail("", NAMELESS);
  assert.match(await talk.content("x"), /^451 4\.3\.0/);
  isAway = false;
  await talk.mail("", NAMELESS);
  assert.match(await talk.content("x"), /^250/);
  talk.end();
});

test("too much at once is put off, and so are too many clients", async (t) => {
  const { pool } = await testDatabase(t);
  const door = await doorFor(t, pool);
  const talk = await Talk.with(door);
  const answers = new Set<string>();
  for (let count = 0; count < 1000 && !answers.has("451"); count++) {
    answers.add((await talk.say("MAIL FROM:<>")).slice(0, 3));
    await talk.say("RSET");
  }
  assert.ok(answers.has("451"), [...answers].join(" "));
  const others: Talk[] = [];
  for (let count = 0; count < 55; count++) others.push(new Talk(door));
  t.after(() => others.forEach((other) => other.end()));
  const greetings = await Promise.all(others.map((other) => other.reply()));
  assert.ok(greetings.some((greeting) => greeting.startsWith("421")));
  talk.end();
});

test("whatever octets come, the door stands, nothing is changed, and each kept mail is judged", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  const door = await doorFor(t, pool);
  const mail = await sentMail(context);
  const hostile = [
    "\0".repeat(2000),
    "\r\n\r\n\r\n",
    "bare\rcarriage\nand line feeds\n.\nQUIT\n",
    `${"x".repeat(5000)}: y\r\n\r\n`,
    'Content-Type: multipart/report; boundary="\r\n\r\n--\r\n',
    "Content-Type: message/delivery-status\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n",
    noticeFor({ ...mail, returnPath: NAMELESS }),
    noticeFor(mail, { status: "5.1.1", diagnostic: "\u001b[2J\0\0" }),
    Buffer.from(fc.sample(fc.uint8Array({ minLength: 3000, maxLength: 3000 }), { numRuns: 1, seed: 7 })[0]!).toString(
      "latin1",
    ),
  ];
  for (const raw of hostile) {
    const talk = await Talk.with(door);
    await talk.mail("", NAMELESS);
    assert.match(await talk.content(Buffer.from(raw.replaceAll("\r\n.", "\r\n.."), "latin1")), /^250/);
    talk.end();
  }
  for (const line of [
    "\0\0\0",
    "MAIL FROM:<",
    `RCPT TO:<${"x".repeat(600)}>`,
    "STARTTLS",
    "AUTH PLAIN AAAA",
    "BDAT 5 LAST",
  ]) {
    const talk = await Talk.with(door);
    assert.match(await talk.say(line), /^[45]\d\d|closed/, JSON.stringify(line));
    talk.end();
  }
  await takeAll(context);
  const judgements = await judgementsOf(pool);
  assert.equal(judgements.length, hostile.length);
  assert.ok(
    judgements.every(
      (word) => word === "unreadable" || word === "no_token" || word === "reply" || word === "forged_token",
    ),
    judgements.join(" "),
  );
  assert.deepEqual(
    (await storyOf(pool, mail.id)).map(({ kind }) => kind),
    ["sent"],
  );
});
