import assert from "node:assert/strict";
import { test } from "node:test";
import type { Phase } from "../mail/reply.ts";
import { isBadAddressReply, isBadAddressReturn, saysBadAddress } from "./bad-address.ts";
import { judgeAttempt } from "./judge-reply.ts";
import type { ReturnFact } from "./judge-return.ts";

const BAD = ["5.1.1", "5.1.3", "5.1.6", "5.1.10"];
const OTHERS = [
  "5.1.0",
  "5.1.2",
  "5.1.7",
  "5.1.8",
  "5.1.100",
  "5.2.1",
  "5.2.2",
  "5.4.1",
  "5.7.1",
  "5.7.26",
  "4.1.1",
  "2.1.5",
];

test("four codes say that there is no such address, and no other", () => {
  for (const status of BAD) assert.ok(saysBadAddress(status), status);
  for (const status of [...OTHERS, undefined, "", "5.1"]) assert.ok(!saysBadAddress(status), status);
});

test("a reply is read from the sentence that judging makes of it, and a server's words change nothing", () => {
  const reason = (phase: Phase, enhanced: string | undefined, text: string): string => {
    const reply = { code: 550, text, ...(enhanced === undefined ? {} : { enhanced }) };
    const outcome = judgeAttempt({ kind: "replied", host: "mx.example:25", phase, reply }, { outletType: "smtp" });
    assert.ok("reason" in outcome);
    return outcome.reason;
  };
  for (const phase of ["rcpt", "data", "dot"] as const) {
    for (const status of BAD) assert.ok(isBadAddressReply(reason(phase, status, "no such user")), `${phase} ${status}`);
    for (const status of OTHERS.filter((one) => one.startsWith("5")))
      assert.ok(!isBadAddressReply(reason(phase, status, "no")), `${phase} ${status}`);
    const said = "mx answered rcpt with 550 5.1.1 no such user";
    assert.ok(!isBadAddressReply(reason(phase, undefined, said)), phase);
    assert.ok(!isBadAddressReply(reason(phase, "5.7.1", said)), phase);
  }
  assert.ok(isBadAddressReply(reason("rcpt", "5.1.1", "")));
  assert.ok(!isBadAddressReply(reason("mail", "5.1.3", "bad sender")), "before any recipient was named");
});

test("of what comes back only a failure that names the very recipient counts", () => {
  const line = { source: "log", attempt: 1, relay: "mx", reply: "no", queueId: "Q", means: "delivered" } as const;
  const log = (given: object): ReturnFact => ({
    ...line,
    recipient: "Ann@example.com",
    status: "bounced",
    dsn: "5.1.1",
    ...given,
  });
  assert.ok(isBadAddressReturn(log({}), "ann@example.com"));
  assert.ok(!isBadAddressReturn(log({ recipient: "archive@example.com" }), "ann@example.com"));
  assert.ok(!isBadAddressReturn(log({ status: "deferred" }), "ann@example.com"));
  const report = { action: "failed", status: "5.1.1", finalRecipient: "ann@example.com" } as const;
  const notice = (given: object): ReturnFact =>
    ({ source: "notice", attempt: 1, notice: { recipients: [{ ...report, ...given }] } }) as unknown as ReturnFact;
  assert.ok(isBadAddressReturn(notice({}), "ann@example.com"));
  assert.ok(!isBadAddressReturn(notice({ finalRecipient: "else@example.net" }), "ann@example.com"));
  assert.ok(!isBadAddressReturn(notice({ action: "delayed" }), "ann@example.com"));
});
