// What names a mail that comes again, and by which door it came.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sender } from "../../senders/sender.ts";
import { submissionOfMail, type SubmittedMail } from "./submission-of-mail.ts";

const SENDER: Sender = { credential: "key:1", scope: "send", getsNotices: true, isDeduplicated: true };
const MAIL: SubmittedMail = {
  sender: SENDER,
  mail: { kind: "mail", sender: "a@example.com", isUtf8: false },
  recipients: [
    { kind: "rcpt", recipient: "ann@example.com" },
    { kind: "rcpt", recipient: "bob@example.com" },
  ],
  controls: { isBySendmail: false },
  lane: "bulk",
  content: Buffer.from("Message-ID: <1@x>\r\n\r\n"),
  hasMessageId: true,
  raw: Buffer.from("Received: x\r\nMessage-ID: <1@x>\r\n\r\n"),
  isLoopback: true,
};

function envelopeOf(changes: Partial<SubmittedMail> = {}) {
  const submission = submissionOfMail({ ...MAIL, ...changes });
  return submission.kind === "mail" ? submission.envelope : assert.fail("not a mail");
}

test("a key that was made up holds for a day, and names envelope and content alone", () => {
  const { idempotency_key: key, fingerprint, key_kept_s: keptS } = envelopeOf();
  assert.equal(key, `smtp:${fingerprint}`);
  assert.equal(keptS, 86_400);
  const same = envelopeOf({
    recipients: MAIL.recipients.toReversed(),
    raw: Buffer.from("another Received"),
    lane: "bulk",
  });
  assert.equal(same.idempotency_key, key);
  for (const other of [
    envelopeOf({ recipients: MAIL.recipients.slice(0, 1) }),
    envelopeOf({ mail: { ...MAIL.mail, sender: "" } }),
    envelopeOf({ content: Buffer.from("Message-ID: <1@x>\r\n\r\nx") }),
  ]) {
    assert.notEqual(other.idempotency_key, key);
  }
});

test("none is made up without a Message-ID, nor for who does not want it; one's own always holds", () => {
  assert.equal(envelopeOf({ hasMessageId: false }).idempotency_key, undefined);
  const sender = { ...SENDER, isDeduplicated: false };
  assert.equal(envelopeOf({ sender }).idempotency_key, undefined);
  const own = envelopeOf({ sender, controls: { isBySendmail: false, idempotencyKey: "order-1" } });
  assert.deepEqual([own.idempotency_key, own.key_kept_s], ["order-1", undefined]);
  assert.match(own.fingerprint ?? "", /^[0-9a-f]{64}$/);
});

test("only from this machine a mail can have come by the sendmail command", () => {
  const controls = { isBySendmail: true };
  assert.equal(submissionOfMail({ ...MAIL, controls }).door, "sendmail");
  assert.equal(submissionOfMail({ ...MAIL, controls, isLoopback: false }).door, "smtp");
});
