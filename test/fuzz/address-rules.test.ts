// Over generated texts: what passes as an address can stand in angle brackets in an SMTP command and in a header, and
// the short cut for ordinary addresses never says something else than the rules.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addressProblem, domainOf, parseMailbox } from "../../src/mail/address.ts";

const fragment = fc.constantFrom(
  ...Array.from("abZ09.-_+@ \"'()<>[]\\,:;\u0000\r\n\t\u007f\u00a0\u2028éü漢😀\ud800\udc00"),
  "example",
  ".com",
  "xn--",
);
const nearlyAddress = fc.array(fragment, { maxLength: 40 }).map((parts) => parts.join(""));

test("what passes has one @, no space, no control, no bracket, and lengths within the limits", () => {
  fc.assert(
    fc.property(fc.oneof(nearlyAddress, fc.emailAddress(), fc.string({ unit: "binary" })), (text) => {
      if (addressProblem(text) !== undefined) return;
      // oxlint-disable-next-line no-control-regex
      assert.match(text, /^[^\s\u0000-\u0020\u007f<>"@]+@[^\s\u0000-\u0020\u007f<>"@]+$/);
      assert.ok(Buffer.byteLength(text) <= 254);
      assert.ok(Buffer.byteLength(text.split("@")[0]!) <= 64);
      const labels = text.split("@")[1]!.split(".");
      assert.ok(labels.length >= 2 && labels.every((label) => label.length > 0 && Array.from(label).length <= 63));
      assert.equal(domainOf(text), text.split("@")[1]!.toLowerCase());
      assert.deepEqual(parseMailbox(`Some One <${text}>`), { kind: "mailbox", name: "Some One", address: text });
    }),
    { numRuns: 5000 },
  );
});

test("the short cut agrees with the rules: an upper-case look-alike outside of it gets the same answer", () => {
  // A soft hyphen is allowed by the rules and unknown to the short cut, so it forces the long way.
  fc.assert(
    fc.property(fc.oneof(nearlyAddress, fc.emailAddress()), (text) => {
      const at = text.lastIndexOf("@");
      if (at < 1 || Buffer.byteLength(text.slice(0, at)) > 60 || text.startsWith(".")) return;
      assert.equal(addressProblem(`\u00ad${text}`), addressProblem(`a${text}`));
    }),
    { numRuns: 5000 },
  );
});
