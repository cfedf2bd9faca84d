import assert from "node:assert/strict";
import { test } from "node:test";
import { checkEndpointUrl, createReachable } from "./reachable-address.ts";

const PRIVATE = [
  "0.0.0.0",
  "10.0.0.1",
  "100.64.0.1",
  "100.127.255.255",
  "127.0.0.1",
  "127.255.0.9",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.0.0.8",
  "192.0.2.1",
  "192.168.1.1",
  "198.18.0.1",
  "198.51.100.7",
  "203.0.113.9",
  "224.0.0.1",
  "239.255.255.255",
  "240.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::ffff:127.0.0.1",
  "::ffff:10.0.0.1",
  "::ffff:7f00:1",
  "::ffff:169.254.169.254",
  "::127.0.0.1",
  "64:ff9b::7f00:1",
  "64:ff9b:1::808:808",
  "100::1",
  "2001:db8::1",
  "2001::1",
  "2002:7f00:1::",
  "3fff::1",
  "fc00::1",
  "fd12:3456::1",
  "fe80::1",
  "fe80::1%eth0",
  "fec0::1",
  "ff02::1",
  "5f00::1",
  "not an address",
  "",
  "1.2.3.4.5",
  "::g",
  "1:2:3",
  "1::2::3",
];
const PUBLIC = [
  "1.1.1.1",
  "9.255.255.255",
  "11.0.0.1",
  "100.63.255.255",
  "100.128.0.1",
  "172.15.0.1",
  "172.32.0.1",
  "8.8.8.8",
  "192.0.1.1",
  "192.167.0.1",
  "198.17.0.1",
  "198.20.0.1",
  "223.255.255.255",
  "2606:4700::1111",
  "2a00:1450:4001::1",
  "2001:4860:4860::8888",
  "::ffff:8.8.8.8",
  "64:ff9b::808:808",
];

test("only addresses of the public internet are reachable, whatever name leads to them", () => {
  const isReachable = createReachable([]);
  for (const address of PRIVATE) assert.equal(isReachable("hooks.example.com", address), false, address);
  for (const address of PUBLIC) assert.equal(isReachable("hooks.example.com", address), true, address);
});

test("what is allowed by name is reachable: an address however it is written, a host whatever it leads to", () => {
  const isReachable = createReachable(["10.0.0.5", "Hooks.Internal", "FD00::0005"]);
  assert.equal(isReachable("hooks.example.com", "10.0.0.5"), true);
  assert.equal(isReachable("hooks.example.com", "10.0.0.6"), false);
  assert.equal(isReachable("hooks.example.com", "fd00::5"), true);
  assert.equal(isReachable("[fd00::5]", "fd00::5"), true);
  assert.equal(isReachable("hooks.internal", "127.0.0.1"), true);
  assert.equal(isReachable("hooks.internal.", "192.168.0.1"), true);
  assert.equal(isReachable("other.internal", "127.0.0.1"), false);
});

test("a URL is taken in its canonical form, or refused with what to do", () => {
  const check = (url: string, allow: readonly string[] = []) => {
    const answer = checkEndpointUrl(url, allow);
    return answer.kind === "url" ? answer.url : answer.problem;
  };
  assert.equal(check("https://Example.com:443/hooks?a=1#x"), "https://example.com/hooks?a=1");
  assert.equal(check("http://hooks.internal:8080/x", ["hooks.internal"]), "http://hooks.internal:8080/x");
  assert.equal(check("https://10.0.0.5/x", ["10.0.0.5"]), "https://10.0.0.5/x");
  assert.match(check("http://example.com/"), /https:\/\//);
  assert.match(check("ftp://example.com/"), /https:\/\//);
  assert.match(check("https://ann:secret@example.com/"), /without a user/);
  assert.match(check("example.com/hooks"), /Give a URL/);
  assert.match(check(`https://example.com/${"x".repeat(2048)}`), /Give a URL/);
  for (const host of ["127.0.0.1", "0x7f.1", "2130706433", "0177.0.0.1", "localhost", "a.localhost", "LOCALHOST."]) {
    assert.match(check(`https://${host}/`), /private network/, host);
  }
  for (const host of ["[::1]", "[::ffff:127.0.0.1]", "[fe80::1]", "169.254.169.254", "10.0.0.5"]) {
    assert.match(check(`https://${host}/`, ["10.0.0.6"]), /webhooks\.allow/, host);
  }
});
