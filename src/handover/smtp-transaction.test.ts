import assert from "node:assert/strict";
import { test } from "node:test";
import { contentInUtf8 } from "../../test/rig/handover-rig.ts";
import type { HandOver } from "./outlet.ts";
import { NO_EXTENSIONS, parseExtensions, type SmtpExtensions } from "./smtp-extensions.ts";
import { ADDRESS_BYTES_MAX, prepareTransaction, refuseUnsafe } from "./smtp-transaction.ts";

const everything = parseExtensions(["host", "PIPELINING", "SIZE 1000", "8BITMIME", "SMTPUTF8"]);

function handOver(changes: { sender?: string; recipient?: string; text?: string; isAscii?: boolean } = {}): HandOver {
  const text = changes.text ?? "Subject: x\r\n\r\nhello\r\n";
  return {
    token: "t",
    envelope: { sender: changes.sender ?? "a@example.org", recipient: changes.recipient ?? "b@example.net" },
    content: changes.isAscii === undefined ? contentInUtf8(text) : { text, isAscii: changes.isAscii },
  };
}

function envelopeOf(given: HandOver, offers: SmtpExtensions = everything): string {
  const prepared = prepareTransaction(given, offers, "relay:25");
  assert.equal(prepared.kind, "ready");
  return prepared.kind === "ready" ? prepared.transaction.envelope : "";
}

function refusalOf(given: HandOver, offers: SmtpExtensions = everything): string {
  const prepared = prepareTransaction(given, offers, "relay:25");
  if (prepared.kind === "ready") return "none";
  assert.equal(prepared.result.host, "relay:25");
  return `${prepared.result.reply.code} ${prepared.result.reply.enhanced}`;
}

test("a server that knows DSN is asked for headers only, where failures come home", () => {
  const given = handOver();
  const ours: HandOver = { ...given, envelope: { ...given.envelope, wantsHeadersOnly: true } };
  const offers = parseExtensions(["host", "DSN"]);
  assert.match(envelopeOf(ours, offers), /^MAIL FROM:<a@example\.org> RET=HDRS\r\n/);
  assert.doesNotMatch(envelopeOf(ours), /RET=/);
  assert.doesNotMatch(envelopeOf(given, offers), /RET=/);
});

test("parameters follow what the server offers and the message needs", () => {
  const utf8 = { text: "Subject: x\r\n\r\nzoë\r\n" };
  assert.equal(
    envelopeOf(handOver(), NO_EXTENSIONS),
    "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n",
  );
  assert.match(envelopeOf(handOver()), /^MAIL FROM:<a@example\.org> SIZE=21\r\n/);
  assert.match(envelopeOf(handOver({ sender: "" })), /^MAIL FROM:<> SIZE=21\r\n/);
  assert.match(envelopeOf(handOver(utf8)), /> SIZE=20 BODY=8BITMIME\r\n/);
  assert.match(
    Buffer.from(envelopeOf(handOver({ recipient: "zoë@example.net" })), "latin1").toString(),
    /> SIZE=21 BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<zoë@/,
  );
  assert.match(envelopeOf(handOver({ text: "Subject: zoë\r\n\r\nx\r\n" })), / BODY=8BITMIME SMTPUTF8\r\n/);
});

test("a domain beyond ASCII goes as A-labels and needs no SMTPUTF8", () => {
  const envelope = envelopeOf(handOver({ sender: "a@bücher.example", recipient: "b@例え.example" }));
  assert.match(envelope, /^MAIL FROM:<a@xn--bcher-kva\.example> SIZE=21\r\nRCPT TO:<b@xn--r8jz45g\.example>\r\n/);
});

test("what the server does not offer is refused before it is sent", () => {
  const without = (words: readonly string[]) => parseExtensions(["host", ...words]);
  assert.equal(refusalOf(handOver({ text: `${"x".repeat(998)}\r\n` })), "none");
  assert.equal(refusalOf(handOver({ text: `${"x".repeat(999)}\r\n` })), "552 5.3.4");
  assert.equal(refusalOf(handOver({ sender: "zoë@example.org" }), without(["8BITMIME"])), "553 5.6.7");
  assert.equal(refusalOf(handOver({ recipient: "zoë@example.org" }), without(["8BITMIME"])), "553 5.6.7");
  assert.equal(refusalOf(handOver({ text: "Subject: zoë\r\n\r\nx\r\n" }), without(["8BITMIME"])), "553 5.6.7");
  assert.equal(refusalOf(handOver({ text: "Subject: x\r\n\r\nzoë\r\n" }), without([])), "554 5.6.3");
});

test("an address that could end its path or command is refused, for that message alone", () => {
  const injections = [
    "a b",
    "a>b",
    "a<b",
    "a\rb",
    "a\nb",
    "a\0b",
    "a\x7fb",
    "a\tb",
    "a\u0085b",
    "a\u2028b",
    "a\ud800b",
  ];
  for (const local of injections) {
    assert.equal(refusalOf(handOver({ sender: `${local}@example.org` })), "553 5.1.7", JSON.stringify(local));
    assert.equal(refusalOf(handOver({ recipient: `${local}@example.org` })), "553 5.1.3", JSON.stringify(local));
  }
  for (const recipient of [
    "",
    "b@ü>.example",
    "b@xn--ü.example\u2028",
    "b@bü..%00.example",
    `${"b".repeat(ADDRESS_BYTES_MAX)}@x`,
  ]) {
    assert.equal(refusalOf(handOver({ recipient })), "553 5.1.3", JSON.stringify(recipient));
  }
});

test("content with a bare CR, LF or NUL is refused, and so is content that only claims to be ASCII", () => {
  for (const text of ["a\nb\r\n", "a\rb\r\n", "a\0b\r\n", "no end", ""]) {
    assert.equal(refusalOf(handOver({ text })), "554 5.6.0", JSON.stringify(text));
    assert.equal(refuseUnsafe(handOver({ text }))?.enhanced, "5.6.0");
  }
  // As Latin-1 these would become LF and CR.
  for (const isAscii of [true, false]) {
    assert.equal(refusalOf(handOver({ text: "a\u010d\u010ab\r\n", isAscii })), "554 5.6.0");
  }
  assert.equal(refuseUnsafe(handOver()), undefined);
});
