import assert from "node:assert/strict";
import { BlockList, isIPv4, isIPv6 } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { isPublic, isSameIp, isWithin, parseIp, parseIpNetwork, reverseNameOf } from "./ip-address.ts";

const ip = (text: string) => parseIp(text) ?? assert.fail(text);

test("an address is read in every way that it may be written", () => {
  const same = [
    ["2001:db8::1", "2001:0DB8:0:0:0:0:0:1"],
    ["::", "0:0:0:0:0:0:0:0"],
    ["::ffff:192.0.2.1", "::ffff:c000:201"],
    ["fe80::", "fe80:0:0:0::"],
  ] as const;
  for (const [one, other] of same) assert.ok(isSameIp(ip(one), ip(other)), one);
  assert.ok(!isSameIp(ip("192.0.2.1"), ip("::ffff:192.0.2.1")), "not of one family");
  for (const text of ["", "192.0.2", "192.0.2.256", "1::2::3", "example.com", "192.0.2.1/32", ":::"]) {
    assert.equal(parseIp(text), undefined, text);
  }
});

test("the reverse name of an address", () => {
  assert.equal(reverseNameOf(ip("192.0.2.1")), "1.2.0.192.in-addr.arpa");
  assert.equal(
    reverseNameOf(ip("2001:db8::567:89ab")),
    "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
  );
});

test("what the world can see", () => {
  const hidden = ["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1", "0.0.0.0"];
  for (const text of [...hidden, "::1", "::", "fd00::1", "fe80::1", "ff02::1"]) assert.ok(!isPublic(ip(text)), text);
  for (const text of ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2a00::1"]) assert.ok(isPublic(ip(text)), text);
});

test("a network holds what Node's own list says that it holds", () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(address, address, fc.integer({ min: 0, max: 128 }), fc.boolean(), (one, other, bits, isNear) => {
      const family = isIPv4(one) ? "ipv4" : "ipv6";
      const prefix = family === "ipv4" ? bits % 33 : bits;
      const list = new BlockList();
      list.addSubnet(one, prefix, family);
      const asked = isNear ? one : other;
      const network = parseIpNetwork(`${one}/${prefix}`)!;
      const expected = (family === "ipv4" ? isIPv4 : isIPv6)(asked) && list.check(asked, family);
      assert.equal(isWithin(ip(asked), network), expected);
    }),
    { numRuns: 2000 },
  );
});
