// MAIL and RCPT as clients write them, well and badly.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readMail, readRcpt } from "./read-envelope.ts";

const mail = (line: string) => readMail(Buffer.from(line), 1000);
const rcpt = (line: string, mayBeUtf8 = false) => readRcpt(Buffer.from(line), mayBeUtf8);
const codeOf = (read: ReturnType<typeof mail> | ReturnType<typeof rcpt>): string =>
  read.kind === "refused" ? `${read.reply.code} ${read.reply.text.split(" ")[0]}` : read.kind;

test("what clients write is read", () => {
  assert.deepEqual(mail("mail from:<a@b.example>"), { kind: "mail", sender: "a@b.example", isUtf8: false });
  assert.deepEqual(mail("MAIL FROM: <> SIZE=1000  BODY=7bit AUTH=<> "), { kind: "mail", sender: "", isUtf8: false });
  assert.deepEqual(mail("MAIL FROM:<@one.example,@two.example:a@b.example>"), {
    kind: "mail",
    sender: "a@b.example",
    isUtf8: false,
  });
  assert.deepEqual(rcpt("RCPT TO:<Ann@XN--bcher-kva.example> NOTIFY=delay ORCPT=rfc822;a+2Bb"), {
    kind: "rcpt",
    recipient: "Ann@XN--bcher-kva.example",
    notify: "DELAY",
    orcpt: "rfc822;a+2Bb",
  });
});

test("what is ill-formed is refused, with its code", () => {
  for (const [line, code] of [
    ["MAIL FROM:a@b.example", "501 5.5.2"],
    ["MAIL FROM <a@b.example>", "501 5.5.2"],
    ["MAIL FROM:<a@b.example>SIZE=1", "501 5.5.2"],
    ["MAIL FROM:<a@b.example\0>", "501 5.5.2"],
    ["MAIL FROM:<a@b.example> SIZE=1001", "552 5.3.4"],
    ["MAIL FROM:<a@b.example> SIZE=x", "501 5.5.4"],
    ["MAIL FROM:<a@b.example> SIZE=1 size=1", "501 5.5.4"],
    ["MAIL FROM:<a@b.example> BODY=BINARYMIME", "501 5.5.4"],
    ["MAIL FROM:<a@b.example> SMTPUTF8=1", "501 5.5.4"],
    ["MAIL FROM:<a@b.example> RET=ALL", "501 5.5.4"],
    [`MAIL FROM:<a@b.example> ENVID=${"x".repeat(101)}`, "501 5.5.4"],
    ["MAIL FROM:<a@b.example> ENVID=a+0D+0AQUIT", "501 5.5.4"],
    ["MAIL FROM:<a@b.example> ENVID=a+2b", "501 5.5.4"],
    ["MAIL FROM:<a@b.example> =x", "501 5.5.4"],
    ["MAIL FROM:<a@b.example> REQUIRETLS", "555 5.5.4"],
    ["MAIL FROM:<a@b.example> __proto__=1", "501 5.5.4"],
    ["MAIL FROM:<a@b@c.example>", "553 5.1.7"],
    ["MAIL FROM:<a b@c.example>", "553 5.1.7"],
    ["MAIL FROM:<b\u00fcro@c.example>", "553 5.6.7"],
    ["MAIL FROM:<b\u00fcro@c.example> SMTPUTF8", "mail"],
  ] as const) {
    assert.equal(codeOf(mail(line)), code, line);
  }
  for (const [line, code] of [
    ["RCPT TO:<>", "553 5.1.3"],
    ["RCPT TO:<postmaster>", "553 5.1.3"],
    ["RCPT TO:<root@localhost>", "553 5.1.3"],
    ['RCPT TO:<"a b"@c.example>', "553 5.1.3"],
    ["RCPT TO:<a@[192.0.2.1]>", "553 5.1.3"],
    ["RCPT TO:<a@b.example> NOTIFY=NEVER,DELAY", "501 5.5.4"],
    ["RCPT TO:<a@b.example> NOTIFY=DELAY,DELAY", "501 5.5.4"],
    ["RCPT TO:<a@b.example> NOTIFY", "501 5.5.4"],
    ["RCPT TO:<a@b.example> ORCPT=a@b.example", "501 5.5.4"],
    ["RCPT TO:<a@b.example> ORCPT=rfc822;a=b", "501 5.5.4"],
    ["RCPT TO:<a@b.example> ORCPT=utf-8;\u00fc@b.example", "501 5.5.4"],
    ["RCPT TO:<a@b.example> SIZE=1", "555 5.5.4"],
    ["RCPT TO:<\u00fc@b.example>", "553 5.6.7"],
  ] as const) {
    assert.equal(codeOf(rcpt(line)), code, line);
  }
  assert.equal(codeOf(rcpt("RCPT TO:<\u00fc@b.example> ORCPT=utf-8;\u00fc@b.example", true)), "rcpt");
  assert.equal(codeOf(readMail(Buffer.from("MAIL FROM:<\xff@b.example> SMTPUTF8", "latin1"), 1000)), "501 5.5.2");
});
