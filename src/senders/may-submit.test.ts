import assert from "node:assert/strict";
import { test } from "node:test";
import { laneFor, LOOPBACK_SENDER, whyNotAllowed } from "./may-submit.ts";
import type { Sender } from "./sender.ts";

const shop: Sender = {
  ...LOOPBACK_SENDER,
  credential: "key:7",
  lanes: ["bulk", "news"],
  fromDomains: ["shop.example", "xn--bcher-kva.example"],
};
const from = (...addresses: string[]) => whyNotAllowed(shop, { lane: "bulk", from: addresses });

test("the lane is the one asked for, else the key's first, else transactional", () => {
  assert.equal(laneFor(shop, "news"), "news");
  assert.equal(laneFor(shop, undefined), "bulk");
  assert.equal(laneFor(LOOPBACK_SENDER, undefined), "transactional");
});

test("a lane that the key does not have is refused, with the ones that it has", () => {
  const answer = whyNotAllowed(shop, { lane: "transactional", from: [] });
  assert.equal(answer?.field, "lane");
  assert.match(answer.message, /"transactional"/);
  assert.match(answer.hint, /bulk, news/);
});

test("every address must be of a domain of the key's, in whatever case and script", () => {
  assert.equal(from("a@shop.example", "A@SHOP.Example", "a@Bücher.example", "a@xn--bcher-kva.example"), undefined);
  for (const address of OTHERS) {
    const answer = from("a@shop.example", address);
    assert.equal(answer?.field, "from", address);
    assert.match(answer.hint, /shop\.example, xn--bcher-kva\.example/);
  }
});

/** Also what a URL's parser, which knows domains in other scripts, would take for shop.example. */
const OTHERS = [
  "a@other.example",
  "a@sub.shop.example",
  "a@notshop.example",
  "shop.example",
  "a@shop.example@b.example",
  "a@shop.example.",
  "a@",
  "a@shop.example/evil.example",
  "a@shop.example?evil.example",
  "a@shop.example#evil.example",
  "a@shop%2eexample",
  "a@shop.exam\tple",
  "a@shop.example:25",
];

test("the null sender is always allowed, and who has no list may be anybody", () => {
  assert.equal(from("", "<>"), undefined);
  assert.equal(whyNotAllowed(LOOPBACK_SENDER, { lane: "any", from: ["a@anything.example", "no address"] }), undefined);
});

test("nothing that a client wrote can command a terminal or a protocol", () => {
  const hostile = `a@evil.example\r\n250 ok\u001b[2J\u202e${"x".repeat(10_000)}`;
  for (const answer of [from(hostile), whyNotAllowed(shop, { lane: hostile, from: [] })]) {
    assert.match(answer!.message, /^[ -~]{1,300}$/);
    assert.match(answer!.hint, /^[ -~]{1,300}$/);
  }
});
