// Golden pairs: put a mail and what it says into test/fixtures/returns, and it is a test. A second reader, a library that
// does all of MIME, must find the same parts in every mail that it can read.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import PostalMime from "postal-mime";
import { deliveredTo, parseNotice, RAW_BYTES_MAX } from "./parse-notice.ts";

const FOLDER = path.resolve(import.meta.dirname, "../../../test/fixtures/returns");
/** Fewer, and the test looks at the wrong place. */
const PAIRS_MIN = 30;

const names = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".eml"))
  .map((name) => name.slice(0, -".eml".length));

function raw(name: string): Buffer {
  return readFileSync(path.join(FOLDER, `${name}.eml`));
}

test("there are golden pairs", () => {
  assert.ok(names.length >= PAIRS_MIN, `only ${names.length}`);
});

for (const name of names) {
  test(`a returned mail: ${name}`, () => {
    const file = path.join(FOLDER, `${name}.json`);
    const found = parseNotice(raw(name));
    if (process.env["POSTLANE_WRITE_GOLDEN"] === "1") writeFileSync(file, `${JSON.stringify(found, undefined, 2)}\n`);
    assert.deepEqual(found, JSON.parse(readFileSync(file, "utf8")));
  });
}

test("a library finds a delivery status in the same mails", async () => {
  for (const name of names) {
    const { attachments } = await PostalMime.parse(raw(name), { forceRfc822Attachments: true });
    const hasStatus = attachments.some(({ mimeType }) => /^message\/(?:global-)?delivery-status$/.test(mimeType));
    assert.equal(parseNotice(raw(name)).kind === "notice" || name === "action-unknown", hasStatus, name);
  }
});

test("of a huge mail the beginning is read", () => {
  const notice = raw("postfix-expired-4.4.1");
  const huge = Buffer.concat([notice, Buffer.alloc(20 * RAW_BYTES_MAX, "x\r\n")]);
  assert.deepEqual(parseNotice(huge), parseNotice(notice));
});

test("a failure told in words alone comes from a null sender; with another one it is a person's", () => {
  const words = Buffer.from("From: a@example.com\r\nSubject: failure notice\r\n\r\nno such user\r\n");
  assert.equal(parseNotice(words, "").kind, "unreadable");
  assert.equal(parseNotice(words, "a@example.com").kind, "reply");
});

test("whom a mail was delivered to stands above it", () => {
  assert.match(deliveredTo(raw("postfix-expired-4.4.1")) ?? "", /^b\+[a-z2-7]{24}@returns\.news\.example$/);
  assert.match(deliveredTo(raw("exim")) ?? "", /^b\+/);
  assert.equal(deliveredTo(raw("vacation")), undefined);
  assert.equal(deliveredTo(Buffer.from("Delivered-To: <b+x@returns.example>\n\n")), "b+x@returns.example");
});
