import assert from "node:assert/strict";
import { test } from "node:test";
import { addressesIn, readHeader, recipientsOf, writeMail } from "./mail-header.ts";

const latin1 = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

test("recipients are found whatever stands around them", () => {
  const fields: Readonly<Record<string, readonly string[]>> = {
    " ann@example.com": ["ann@example.com"],
    ' "Bond, James" <james@example.com>, bob@example.com (Bob, "the (old)" one)': [
      "james@example.com",
      "bob@example.com",
    ],
    " Friends: ann@example.com, Bob <bob@example.com>;, carl@example.com": [
      "ann@example.com",
      "bob@example.com",
      "carl@example.com",
    ],
    " undisclosed-recipients:;": [],
    " Ann\r\n <ann@example.com>,\r\n\tbob@example.com": ["ann@example.com", "bob@example.com"],
    ' "a\\"b, <x@example.org>" <ann@example.com>': ["ann@example.com"],
    " Jürgen <jürgen@exämple.com>": ["jürgen@exämple.com"],
    " =?UTF-8?Q?a=2Cb?= <ann@example.com>": ["ann@example.com"],
    " (((": [],
    ' "': ['"'],
    " <": [],
  };
  for (const [octets, expected] of Object.entries(fields))
    assert.deepEqual(addressesIn(latin1(octets)), expected, octets);
});

test("a mail that is sent again goes to those whom it is sent again to", () => {
  const resent = "Resent-To: bob@example.com\r\nresent-bcc: carl@example.com\r\n";
  const mail = Buffer.from(`To: ann@example.com\r\n${resent}\r\nHi\r\n`);
  assert.deepEqual(recipientsOf(readHeader(mail)), ["bob@example.com", "carl@example.com"]);
});

test("what is not touched stays octet by octet", () => {
  const texts = [
    "Subject: one\r\n two\r\nX-B : \xff\r\n\r\nbody\r\n",
    "Subject: no body\r\n\r\n",
    "A: 1\r\n\r\n\r\n\r\nx\r\n",
  ];
  for (const text of texts) {
    const mail = Buffer.from(text, "latin1");
    const { fields, bytes } = readHeader(mail);
    assert.deepEqual(writeMail(fields, mail, bytes), mail);
  }
});

test("the header ends before the first line that is none", () => {
  const mail = Buffer.from("Subject: x\r\nno field\r\nTo: evil@example.org\r\n\r\nbody\r\n");
  const { fields, bytes } = readHeader(mail);
  assert.deepEqual(
    fields.map(({ name }) => name),
    ["subject"],
  );
  const written = writeMail(fields, mail, bytes).toString();
  assert.equal(written, "Subject: x\r\n\r\nno field\r\nTo: evil@example.org\r\n\r\nbody\r\n");
});
