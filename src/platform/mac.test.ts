import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { createMac } from "./mac.ts";

test("it is HMAC-SHA-256, for every length of key and data", () => {
  // RFC 4231 §4.2.
  const known = createMac(Buffer.alloc(20, 0x0b))(Buffer.from("Hi There"));
  assert.equal(Buffer.from(known).toString("hex"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  for (const keyOctets of [0, 1, 32, 63, 64, 65, 131]) {
    const key = Buffer.alloc(keyOctets, 0xaa);
    const mac = createMac(key);
    for (const dataOctets of [0, 8, 55, 56, 64, 1000]) {
      const data = Buffer.alloc(dataOctets, 0x5c);
      assert.deepEqual(Buffer.from(mac(data)), createHmac("sha256", key).update(data).digest());
    }
  }
});
