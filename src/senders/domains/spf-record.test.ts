import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isSpf, parseSpf } from "./spf-record.ts";

test("what is an SPF record at all", () => {
  for (const text of ["v=spf1", "v=spf1 -all", "V=SPF1 a"]) assert.ok(isSpf(text), text);
  for (const text of ["", "v=spf10 -all", " v=spf1", "v=spf1;-all", "spf1 a", "v=spf2.0/pra"])
    assert.ok(!isSpf(text), text);
});

test("records that receivers take", () => {
  const good = [
    "v=spf1",
    "v=spf1 -all",
    "v=spf1   a    mx  ~all ",
    "v=spf1 ip4:192.0.2.0/24 ip4:192.0.2.1 ip6:2001:db8::/32 ?all",
    "v=spf1 A:mail.Example.com/24//64 mx:example.com/28 mx//64 +include:_spf.example.net -ALL",
    "v=spf1 exists:%{i}.spf.%{d2}.example.com ptr ptr:example.com redirect=_spf.example.com",
    "v=spf1 unknown=whatever-comes exp=why.%{d} -all",
  ];
  for (const text of good) assert.equal(parseSpf(text).kind, "record", text);
});

test("one mistake makes all of it useless, and is named", () => {
  const bad = [
    ["v=spf1 ip4:192.0.2.256 -all", "ip4:192.0.2.256"],
    ["v=spf1 ip4:2001:db8::1 -all", "ip4:2001:db8::1"],
    ["v=spf1 ip6:192.0.2.1", "ip6:192.0.2.1"],
    ["v=spf1 ip4:192.0.2.0/33", "ip4:192.0.2.0/33"],
    ["v=spf1 ip4", '"ip4"'],
    ["v=spf1 a/33", "a/33"],
    ["v=spf1 a:/24", "a:/24"],
    ["v=spf1 include: -all", "include:"],
    ["v=spf1 include -all", "include"],
    ["v=spf1 all:example.com", "all:example.com"],
    ["v=spf1 ipv4:192.0.2.1 -all", "ipv4:192.0.2.1"],
    ["v=spf1 mx; -all", "mx;"],
    ["v=spf1 a:..example.com", "a:..example.com"],
    ["v=spf1 redirect= -all", "redirect="],
    ["v=spf1 redirect=a.example redirect=b.example", "twice"],
    ["v=spf1 exists:%{x}.example.com", "exists:%{x}.example.com"],
    ["v=spf1 a:100%.example.com", "a:100%.example.com"],
    ["v=spf1 --all", "--all"],
  ] as const;
  for (const [text, said] of bad) {
    const parsed = parseSpf(text);
    assert.ok(parsed.kind === "bad" && parsed.problem.includes(said), `${text}: ${JSON.stringify(parsed)}`);
  }
});

test("the terms in their order", () => {
  const parsed = parseSpf("v=spf1 a:Mail.example.com/24//64 ~mx redirect=_Spf.example.com");
  assert.deepEqual(parsed, {
    kind: "record",
    record: {
      terms: [
        {
          qualifier: "+",
          mechanism: { kind: "a", prefix4: 24, prefix6: 64, domain: "mail.example.com" },
          text: "a:Mail.example.com/24//64",
        },
        { qualifier: "~", mechanism: { kind: "mx", prefix4: 32, prefix6: 128 }, text: "~mx" },
      ],
      redirect: "_spf.example.com",
    },
  });
});

test("whatever a zone holds is read or refused, quickly, and what is told of it is fit for a terminal", () => {
  const word = fc.constantFrom(
    "a",
    "mx",
    ":",
    "/",
    "//64",
    "include:",
    "%{d}",
    "%",
    "ip4:",
    "1.2.3.4",
    "-all",
    "=",
    "\u001b[2J",
    "ä",
  );
  const startedAtMs = performance.now();
  fc.assert(
    fc.property(
      fc.array(fc.oneof(word, fc.string()), { maxLength: 30 }),
      fc.constantFrom("", " "),
      (words, between) => {
        const parsed = parseSpf(`v=spf1 ${words.join(between)}`);
        if (parsed.kind === "bad") assert.match(parsed.problem, /^[\u0020-\u007e\u{fffd}…]*$/u);
      },
    ),
    { numRuns: 2000 },
  );
  assert.equal(parseSpf(`v=spf1 ${"a".repeat(60_000)}`).kind, "bad");
  assert.equal(parseSpf(`v=spf1 ${"%{d}".repeat(15_000)}`).kind, "bad");
  assert.ok(performance.now() - startedAtMs < 4000);
});
