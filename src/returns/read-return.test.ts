// Rows that other processes wrote, read; and every judgement is explained in docs/reference/returns.md.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import type { MessageId } from "../mail/ids.ts";
import { returnPathOf } from "../mail/return-token.ts";
import type { Mac } from "../mail/token-octets.ts";
import { unsubscribeAddressOf, unsubscribeTokenOf } from "../mail/unsubscribe-token.ts";
import { JUDGEMENTS } from "../outcome/judge-return.ts";
import { IDLE_WORDS, readReturn, type ReadContext } from "./read-return.ts";
import type { DueReturn } from "./return-store.ts";
import { UNSUBSCRIBE_WORDS } from "./take-unsubscribes.ts";

function macOf(key: string): Mac {
  return (data) => createHmac("sha256", key).update(data).digest();
}

const CONTEXT: ReadContext = {
  mac: macOf("key"),
  unsubscribe: { token: macOf("unsubscribe"), suppression: macOf("suppression") },
  returnsDomain: "returns.example",
  verpOutlets: new Set(["verp"]),
};
const NAME = { messageId: 4711 as MessageId, attempt: 2 };
const PATH = returnPathOf(NAME, "returns.example", CONTEXT.mac);

function row(given: Partial<DueReturn>): DueReturn {
  return {
    id: 1,
    source: "log",
    outlet: "verp",
    body: {},
    age_ms: 0,
    now_ms: 0,
    judge_us: 0,
    has_raw: false,
    ...given,
  };
}

const LINE = { queue_id: "4Qabc", recipient: "ann@example.com", status: "sent", return_path: PATH };

test("a line of the log names its attempt by the return path, in whatever case", () => {
  const read = readReturn(row({ body: { ...LINE, return_path: PATH.toUpperCase() } }), undefined, CONTEXT);
  assert.ok(read.kind === "named");
  assert.deepEqual(read.name, NAME);
});

test("without one of ours, only where the outlet has return_path: keep the queue id may tell", () => {
  const body = { ...LINE, return_path: "news@example.com" };
  assert.deepEqual(readReturn(row({ body }), undefined, CONTEXT), { kind: "idle", word: "no_token" });
  const read = readReturn(row({ outlet: "keep", body }), undefined, CONTEXT);
  assert.equal(read.kind, "by_queue_id");
});

test("a token that is none of ours is told from none at all", () => {
  const other = returnPathOf(NAME, "returns.example", (data) => createHmac("sha256", "other").update(data).digest());
  const read = (return_path: string) => readReturn(row({ body: { ...LINE, return_path } }), undefined, CONTEXT);
  assert.deepEqual(read(other), { kind: "idle", word: "forged_token" });
  assert.deepEqual(read("b+short@returns.example"), { kind: "idle", word: "no_token" });
});

test("any body is read without an error, and nothing that is read holds a control character", () => {
  const value = fc.oneof(
    fc.constantFrom<unknown>("sent", "bounced", PATH, "accepted", null, 1, 1e300, -1, true),
    fc.string({ unit: "binary", maxLength: 50 }),
    fc.constant({}),
  );
  const body = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(
      fc.constantFrom(
        "queue_id",
        "recipient",
        "status",
        "return_path",
        "reply",
        "message_id",
        "attempt",
        "verdict",
        "at",
      ),
      value,
    ),
  );
  const source = fc.constantFrom("log" as const, "evidence" as const, "door" as const, "maildir" as const);
  fc.assert(
    fc.property(source, body, fc.uint8Array({ maxLength: 50 }), (from, given, raw) => {
      const read = readReturn(row({ source: from, body: given }), raw, CONTEXT);
      assert.doesNotMatch(Object.values("said" in read ? read.said : {}).join(""), /\p{Cc}/u);
    }),
    { numRuns: 3000 },
  );
});

test("mail to an address to unsubscribe names the message, whatever it says; a forged one does nothing", () => {
  const address = unsubscribeAddressOf(unsubscribeTokenOf(NAME.messageId, macOf("unsubscribe")), "returns.example");
  for (const recipient of [address, address.toUpperCase()]) {
    const read = readReturn(row({ source: "door", body: { sender: "", recipient } }), new Uint8Array(), CONTEXT);
    assert.deepEqual(read, { kind: "unsubscribe", messageId: NAME.messageId });
  }
  const asReturnPath = address.replace("u+", "b+");
  const otherKey = unsubscribeAddressOf(unsubscribeTokenOf(NAME.messageId, macOf("theirs")), "returns.example");
  for (const recipient of [otherKey, PATH.replace("b+", "u+")]) {
    const read = readReturn(row({ source: "door", body: { sender: "", recipient } }), new Uint8Array(), CONTEXT);
    assert.deepEqual(read, { kind: "idle", word: "forged_token" });
  }
  const read = readReturn(row({ source: "door", body: { sender: "", recipient: asReturnPath } }), NOTICE, CONTEXT);
  assert.deepEqual(read, { kind: "idle", word: "forged_token" });
});

const NOTICE = Buffer.from(
  "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n" +
    "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n" +
    "Final-Recipient: rfc822; ann@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n",
);

test("docs/reference/returns.md explains every judgement", () => {
  const page = readFileSync(path.resolve(import.meta.dirname, "../../../docs/reference/returns.md"), "utf8");
  const listed = page.slice(page.indexOf("| judgement |"));
  for (const word of [...JUDGEMENTS, ...IDLE_WORDS, ...UNSUBSCRIBE_WORDS, "failed"])
    assert.ok(listed.includes(`\`${word}\``), word);
});
