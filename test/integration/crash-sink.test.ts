// The truth sink: it must find the end of every content, however the octets are cut, and note a message before it
// answers. A witness that miscounts would acquit or accuse at random.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { openLedger } from "../../bench/sink-ledger.ts";
import { createSinkSession } from "../../bench/sink-session.ts";
import { startTruthSink } from "../../bench/truth-sink.ts";

const envelope = (number: number): string =>
  `MAIL FROM:<sender${number}@x.example> SIZE=10\r\nRCPT TO:<r${number}@y.example>\r\nDATA\r\n`;

/** Contents as they stand on the wire: stuffed, and beginning with the message's own Message-ID. */
const content = fc
  .array(fc.constantFrom("", "text", "..", ".. two dots", "a.", "\r", "Message-ID: <not-me@x>", "x".repeat(300)), {
    maxLength: 6,
  })
  .map((lines) => lines.map((line) => `${line}\r\n`).join(""));

describe("the truth sink", () => {
  it("finds every message in any segmentation", () => {
    fc.assert(
      fc.property(
        fc.array(content, { minLength: 1, maxLength: 5 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 40 })),
        (bodies, sizes) => {
          const wire = bodies
            .map((body, index) => `${envelope(index)}Message-ID: <m${index}@x>\r\n\r\n${body}.\r\n`)
            .join("");
          const bytes = Buffer.from(`EHLO x.example\r\n${wire}QUIT\r\n`, "latin1");
          const session = createSinkSession();
          const accepted: unknown[] = [];
          let replies = "";
          for (let place = 0; place < bytes.length;) {
            const size = sizes.next().value as number;
            const answer = session.take(bytes.subarray(place, place + size));
            accepted.push(...answer.accepted);
            replies += answer.replies;
            place += size;
          }
          assert.deepEqual(
            accepted,
            bodies.map((_, index) => ({
              messageIdHeader: `m${index}@x`,
              returnPath: `sender${index}@x.example`,
              recipients: [`r${index}@y.example`],
              noted: "",
            })),
          );
          assert.equal(replies.match(/^250 2\.0\.0 in the ledger\r$/gm)?.length, bodies.length);
          assert.match(replies, /221 2\.0\.0 goodbye\r\n$/);
        },
      ),
    );
  });

  it("takes a content that is nothing but its final dot", () => {
    const session = createSinkSession();
    session.take(Buffer.from(`EHLO x\r\n${envelope(1)}`));
    const { accepted } = session.take(Buffer.from(".\r\n"));
    assert.deepEqual(accepted, [
      { messageIdHeader: "", returnPath: "sender1@x.example", recipients: ["r1@y.example"], noted: "" },
    ]);
  });

  it("notes the words that are wanted, each once, in whatever pieces they come", () => {
    const session = createSinkSession(/edition-\d+/g);
    session.take(Buffer.from(`EHLO x\r\n${envelope(1)}Subject: edition-2\r\n\r\nedi`));
    const { accepted } = session.take(Buffer.from("tion-2\r\nedition-3\r\n.\r\n"));
    assert.equal(accepted[0]?.noted, "edition-2+edition-3");
    const next = session.take(Buffer.from(`${envelope(2)}\r\nnone\r\n.\r\n`));
    assert.equal(next.accepted[0]?.noted, "");
  });

  it("refuses what comes out of order", () => {
    const session = createSinkSession();
    assert.match(session.take(Buffer.from("DATA\r\n")).replies, /^503 /);
    assert.match(session.take(Buffer.from("RCPT TO:<a@b.example>\r\n")).replies, /^503 /);
    session.take(Buffer.from("MAIL FROM:<a@b.example>\r\n"));
    assert.match(session.take(Buffer.from("MAIL FROM:<c@d.example>\r\n")).replies, /^503 /);
    assert.match(session.take(Buffer.from("VRFY a\r\n")).replies, /^502 /);
  });

  it("notes a message before it says 250, and on request cuts the connection in between", async (t) => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-sink-test-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const sink = await startTruthSink(path.join(folder, "ledger"));
    t.after(() => sink.stop());
    const ledger = openLedger(sink.ledgerFile);
    t.after(() => ledger.close());

    const socket = net.connect(sink.port, "127.0.0.1").setEncoding("latin1");
    await sayUntil(socket, `EHLO x.example\r\n${envelope(1)}`, /354 /);
    await sayUntil(socket, "Message-ID: <m1@x>\r\n\r\ntext\r\n.\r\n", /in the ledger/);
    const [first, ...others] = ledger.next();
    assert.deepEqual(
      [first?.recipient, first?.messageIdHeader, first?.connection, others],
      ["r1@y.example", "m1@x", 1, []],
    );

    // The first connection of a cut stays until its next message is noted.
    await sayUntil(socket, envelope(2), /354 /);
    sink.cutConnections();
    const bystander = net.connect(sink.port, "127.0.0.1");
    await once(bystander, "data");
    const closed = once(socket, "close");
    let heard = "";
    socket.on("data", (text: string) => (heard += text));
    socket.write("Message-ID: <m2@x>\r\n\r\ntext\r\n.\r\n");
    await closed;
    bystander.destroy();
    assert.equal(heard, "");
    assert.deepEqual(
      ledger.next().map(({ recipient }) => recipient),
      ["r2@y.example"],
    );
  });
});

async function sayUntil(socket: net.Socket, text: string, wanted: RegExp): Promise<void> {
  let heard = "";
  socket.write(text);
  while (!wanted.test(heard)) heard += ((await once(socket, "data")) as [string])[0];
}
