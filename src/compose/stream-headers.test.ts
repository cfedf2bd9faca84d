import assert from "node:assert/strict";
import { test } from "node:test";
import { streamHeaders, type Stream } from "./stream-headers.ts";

const STREAM: Stream = { lane: "transactional", fromDomain: "example.com" };
const lines = (stream: Partial<Stream>, own = {}): readonly string[] =>
  streamHeaders({ ...STREAM, ...stream }, own)
    .split("\r\n")
    .slice(0, -1);

test("a single email is by a program, a campaign is not", () => {
  assert.deepEqual(lines({ tag: "receipt" }), [
    "Auto-Submitted: auto-generated",
    "Feedback-ID: receipt::transactional:example-com",
  ]);
  assert.deepEqual(lines({ campaign: "cmp_7", list: "Monthly news", lane: "bulk", tag: "x" }), [
    "Feedback-ID: cmp_7:Monthly-news:bulk:example-com",
  ]);
  assert.deepEqual(lines({ campaign: "cmp_7", template: "12", lane: "bulk" }), [
    "Feedback-ID: cmp_7:12:bulk:example-com",
  ]);
});

test("what the caller has set stands, in whatever case it is written", () => {
  assert.deepEqual(lines({}, { "auto-submitted": "no" }), ["Feedback-ID: ::transactional:example-com"]);
  assert.deepEqual(lines({}, { "FEEDBACK-ID": "a:b:c:d" }), ["Auto-Submitted: auto-generated"]);
});

test("whatever a field holds, there are four of them, and nothing but ASCII without spaces", () => {
  const [line] = lines({ campaign: "a:b\r\nBcc: x", list: "новости дня", lane: "x".repeat(200) });
  assert.match(line!, /^Feedback-ID: [A-Za-z0-9._-]*:[A-Za-z0-9._-]*:[A-Za-z0-9._-]*:[a-z0-9-]{5,15}$/);
  assert.ok(line!.length < 200);
});

test("a domain is always the same sender, of 5 to 15 characters, and no other domain's", () => {
  const senderOf = (fromDomain: string): string => /:([^:]+)$/.exec(lines({ fromDomain })[1]!)![1]!;
  const domains = [
    "x.y",
    "shop.example",
    "mail.shop.example",
    "mail.shop.examples",
    "xn--exmple-cua.com",
    "mail-shop.example",
  ];
  const senders = domains.map(senderOf);
  assert.equal(new Set(senders).size, domains.length);
  for (const sender of senders) assert.match(sender, /^[a-z0-9-]{5,15}$/);
  assert.equal(senderOf("Mail.Shop.Example"), senderOf("mail.shop.example"));
});
