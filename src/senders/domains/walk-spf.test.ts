import assert from "node:assert/strict";
import { test } from "node:test";
import { zoneResolver, type Zone } from "../../../test/rig/zone-resolver.ts";
import { parseIp } from "./ip-address.ts";
import { endOf, spfResult, walkSpf, type SpfResult } from "./walk-spf.ts";

const HOSTS: Zone = {
  "mail.example.com": { A: ["192.0.2.10"], AAAA: ["2001:db8::10"] },
  "mx1.example.com": { A: ["192.0.2.20"] },
  "mx2.example.com": { AAAA: ["2001:db8::20"] },
  "_spf.provider.example": { TXT: ["v=spf1 ip4:198.51.100.0/24 ip6:2001:db8:1::/48 -all"] },
  "soft.provider.example": { TXT: ["v=spf1 ~all"] },
  "broken.example": { TXT: ["v=spf1 ip4:nonsense"] },
  "down.example": "ESERVFAIL",
  "empty.example": { A: ["192.0.2.99"] },
};

async function resultOf(record: string, address: string, zone: Zone = {}): Promise<SpfResult> {
  const domain = {
    "example.com": { TXT: ["hello", record], A: ["192.0.2.1"], MX: ["mx1.example.com", "mx2.example.com"] },
  };
  const { tree } = await walkSpf("example.com", zoneResolver({ ...HOSTS, ...domain, ...zone }));
  return spfResult(tree, parseIp(address)!);
}

test("what a receiver would say", async () => {
  const table: readonly (readonly [string, string, SpfResult])[] = [
    ["v=spf1 ip4:192.0.2.0/24 -all", "192.0.2.77", "pass"],
    ["v=spf1 ip4:192.0.2.0/24 -all", "192.0.3.1", "fail"],
    ["v=spf1 ip4:192.0.2.0/24 -all", "2001:db8::1", "fail"],
    ["v=spf1 ip4:192.0.2.0/25 ~all", "192.0.2.128", "softfail"],
    ["v=spf1 ip6:2001:db8::/32 -all", "2001:db8:ffff::1", "pass"],
    ["v=spf1 ip6:2001:db8::/33 -all", "2001:db8:8000::1", "fail"],
    ["v=spf1 a -all", "192.0.2.1", "pass"],
    ["v=spf1 a:mail.example.com -all", "2001:db8::10", "pass"],
    ["v=spf1 a:mail.example.com/24 -all", "192.0.2.200", "pass"],
    ["v=spf1 a:mail.example.com/24 -all", "2001:db8::11", "fail"],
    ["v=spf1 a:mail.example.com//64 -all", "2001:db8::11", "pass"],
    ["v=spf1 mx -all", "192.0.2.20", "pass"],
    ["v=spf1 mx -all", "2001:db8::20", "pass"],
    ["v=spf1 mx -all", "192.0.2.10", "fail"],
    ["v=spf1 include:_spf.provider.example -all", "198.51.100.9", "pass"],
    ["v=spf1 include:_spf.provider.example ?all", "203.0.113.1", "neutral"],
    ["v=spf1 include:soft.provider.example -all", "203.0.113.1", "fail"],
    ["v=spf1 -ip4:192.0.2.7 ip4:192.0.2.0/24 -all", "192.0.2.7", "fail"],
    ["v=spf1 redirect=_spf.provider.example", "198.51.100.9", "pass"],
    ["v=spf1 redirect=_spf.provider.example", "203.0.113.1", "fail"],
    ["v=spf1 redirect=empty.example", "203.0.113.1", "permerror"],
    ["v=spf1 include:empty.example -all", "203.0.113.1", "permerror"],
    ["v=spf1 include:broken.example -all", "203.0.113.1", "permerror"],
    ["v=spf1 include:down.example -all", "203.0.113.1", "temperror"],
    ["v=spf1 a:down.example -all", "203.0.113.1", "temperror"],
    ["v=spf1 ip4:203.0.113.1 include:down.example -all", "203.0.113.1", "pass"],
    ["v=spf1 exists:%{i}.example.com -all", "203.0.113.1", "undecided"],
    ["v=spf1 ip4:203.0.113.1 exists:%{i}.example.com -all", "203.0.113.1", "pass"],
    ["v=spf1 ptr -all", "203.0.113.1", "undecided"],
    ["v=spf1 -all redirect=_spf.provider.example", "198.51.100.9", "fail"],
    ["v=spf1 a:mail.example.com", "203.0.113.1", "neutral"],
  ];
  for (const [record, address, expected] of table) {
    assert.equal(await resultOf(record, address), expected, `${record} from ${address}`);
  }
});

test("without a record, with two, and without an answer", async () => {
  const walk = (zone: Zone) => walkSpf("example.com", zoneResolver(zone));
  assert.equal((await walk({})).tree.kind, "none");
  assert.equal((await walk({ "example.com": { TXT: ["v=spf10 a", "other"] } })).tree.kind, "none");
  const two = await walk({ "example.com": { TXT: ["v=spf1 a -all", "v=spf1 mx -all"] } });
  assert.ok(two.tree.kind === "bad" && two.problems[0]?.includes("2 SPF records"));
  const down = await walk({ "example.com": "ETIMEOUT" });
  assert.deepEqual([down.tree.kind, down.failures], ["failed", ["example.com (ETIMEOUT)"]]);
});

test("what asks the DNS is counted through the whole tree, and what asks in vain", async () => {
  const zone: Zone = {
    "example.com": {
      TXT: ["v=spf1 a mx include:one.example exists:%{i}.x.example ptr ip4:192.0.2.1 -all"],
      A: ["192.0.2.1"],
    },
    "one.example": { TXT: ["v=spf1 include:two.example a:nowhere.example -all"] },
    "two.example": { TXT: ["v=spf1 a:gone.example redirect=three.example"] },
    "three.example": { TXT: ["v=spf1 ip4:198.51.100.1 -all"] },
  };
  const walked = await walkSpf("example.com", zoneResolver(zone));
  // a, mx, include, exists, ptr; include, a; a, redirect.
  assert.equal(walked.lookups, 9);
  // The MX that is not there, and two names that do not exist.
  assert.equal(walked.voidLookups, 3);
  assert.equal(endOf(walked.tree), "-");
});

test("a record that includes itself, or a thousand others, ends", async () => {
  const loop = zoneResolver({ "example.com": { TXT: ["v=spf1 include:example.com -all"] } });
  const walked = await walkSpf("example.com", loop);
  assert.ok(walked.lookups > 10);
  assert.ok(loop.asked.length < 30, `${loop.asked.length} questions`);
  const many = Array.from({ length: 1000 }, (_, index) => `a:h${index}.example`).join(" ");
  const wide = zoneResolver({ "example.com": { TXT: [`v=spf1 ${many} -all`] } });
  assert.ok((await walkSpf("example.com", wide)).lookups > 10);
  assert.ok(wide.asked.length < 60, `${wide.asked.length} questions`);
});

test("more than ten hosts behind an mx are an error", async () => {
  const hosts = Array.from({ length: 11 }, (_, index) => `mx${index}.example`);
  const walked = await walkSpf("example.com", zoneResolver({ "example.com": { TXT: ["v=spf1 mx -all"], MX: hosts } }));
  assert.match(walked.problems[0]!, /more than 10 hosts/);
});
