import assert from "node:assert/strict";
import { test } from "node:test";
import { composeMail, type MailFields } from "./compose-mail.ts";
import { ComposeRefused } from "./compose-refused.ts";

const FIELDS: MailFields = {
  from: "Example <hello@example.com>",
  to: ["ann@example.net"],
  subject: "Hello",
  messageId: "msg_1.1@example.com",
  wallMs: Date.UTC(2027, 0, 2, 3, 4, 5),
};

const lines = (...list: readonly string[]): string => list.map((line) => `${line}\r\n`).join("");

test("a plain text goes out as it is", () => {
  assert.deepEqual(composeMail({ text: "Hi Ann,\nbye" }, FIELDS), {
    text: lines(
      "From: Example <hello@example.com>",
      "To: ann@example.net",
      "Subject: Hello",
      "Date: Sat, 02 Jan 2027 03:04:05 +0000",
      "Message-ID: <msg_1.1@example.com>",
      "MIME-Version: 1.0",
      "Content-Type: text/plain; charset=utf-8",
      "Content-Transfer-Encoding: 7bit",
      "",
      "Hi Ann,",
      "bye",
    ),
    isAscii: true,
  });
});

test("text and HTML become alternatives, the plainest first", () => {
  const { text } = composeMail({ text: "Grüße", html: "<p>Grüße</p>" }, FIELDS);
  assert.ok(
    text.endsWith(
      lines(
        "Content-Type: multipart/alternative;",
        ' boundary="=_msg-1.1-example.com"',
        "",
        "--=_msg-1.1-example.com",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        "",
        "R3LDvMOfZQ==",
        "--=_msg-1.1-example.com",
        "Content-Type: text/html; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        "",
        "PHA+R3LDvMOfZTwvcD4=",
        "--=_msg-1.1-example.com--",
      ),
    ),
    text,
  );
});

test("the encoding is the shortest that keeps lines short", () => {
  const encodingOf = (body: string) =>
    /Content-Transfer-Encoding: (.*)\r/.exec(composeMail({ text: body }, FIELDS).text)![1];
  assert.equal(encodingOf("short\nlines"), "7bit");
  assert.equal(encodingOf("x".repeat(77)), "quoted-printable");
  assert.equal(encodingOf("a space at the end \n"), "quoted-printable");
  assert.equal(encodingOf("a NUL \u0000 in the middle of it"), "quoted-printable");
  assert.equal(encodingOf(`${"mostly plain, ".repeat(9)}é`), "quoted-printable");
  assert.equal(encodingOf("Привет, мир"), "base64");
});

test("a boundary that stands in a part is not taken", () => {
  const { text } = composeMail({ text: "--=_msg-1.1-example.com", html: "=_msg-1.1-example.com.1" }, FIELDS);
  assert.ok(text.includes('boundary="=_msg-1.1-example.com.2"'));
});

test("long and foreign names, subjects and lists are folded or encoded", () => {
  const { text, isAscii } = composeMail(
    { text: "" },
    {
      ...FIELDS,
      from: '"O\'Neil, Ann (\\"A\\")" <hello@example.com>',
      to: ["Jürgen <j@müller.example>", "=?utf-8?Q?x?= <b@example.com>"],
      subject: "One word after another until the line is full and goes on in the next one, as it should",
      headers: { "X-Empty": "", "X-Order": "4711", "List-Unsubscribe": `<https://example.com/${"u".repeat(200)}>` },
    },
  );
  const head = text.split("\r\n");
  assert.ok(head.includes('From: "O\'Neil, Ann (\\"A\\")" <hello@example.com>'));
  assert.ok(
    text.includes(
      "To: =?utf-8?Q?J=C3=BCrgen?= <j@xn--mller-kva.example>,\r\n =?utf-8?B?PT91dGYtOD9RP3g/PQ==?= <b@example.com>\r\n",
    ),
    text,
  );
  assert.ok(
    text.includes(
      "Subject: One word after another until the line is full and goes on in the next\r\n one, as it should\r\n",
    ),
  );
  assert.ok(head.includes("X-Empty:") && head.includes("X-Order: 4711"));
  assert.ok(head.includes(`List-Unsubscribe: <https://example.com/${"u".repeat(200)}>`));
  assert.ok(isAscii);
});

test("a local part beyond ASCII stands as it is, and the content says so", () => {
  const content = composeMail({ text: "" }, { ...FIELDS, to: ["用户@例え.jp"] });
  assert.ok(Buffer.from(content.text, "latin1").includes("To: 用户@xn--r8jz45g.jp\r\n"));
  assert.equal(content.isAscii, false);
});

test("what cannot be written is refused with its field and reason", () => {
  const refused: readonly (readonly [Partial<MailFields>, string, RegExp])[] = [
    [{ subject: "a\r\nBcc: x@example.org" }, "Subject", /U\+000D/],
    [{ subject: "a\u007f" }, "Subject", /U\+007F/],
    [{ from: "Ann\n <ann@example.com>" }, "From", /U\+000A/],
    [{ from: "Ann" }, "From", /no @/],
    [{ to: ["a@b@c.example"] }, "To", /cannot have/],
    [{ to: ["a@xn--a.example", "a@\u00ad.example"] }, "To", /no ASCII form/],
    [{ cc: ["a@localhost"] }, "Cc", /fewer than two labels/],
    [{ replyTo: ["a\u0000@example.com"] }, "Reply-To", /U\+0000/],
    [{ messageId: "no-at-sign" }, "Message-ID", /id@domain/],
    [{ headers: { "X-A": "1\n2" } }, "X-A", /U\+000A/],
    [{ headers: { "X A": "1" } }, '"X A"', /not a header name/],
    [{ headers: { "X-A\r\nBcc": "1" } }, '"X-A\\r\\nBcc"', /not a header name/],
    [{ headers: { bcc: "a@b.example" } }, "bcc", /written by Postlane/],
    [{ headers: { "ARC-Seal": "x" } }, "ARC-Seal", /written by Postlane/],
    [{ headers: { "Content-Language": "de" } }, "Content-Language", /written by Postlane/],
  ];
  for (const [more, field, reason] of refused) {
    assert.throws(
      () => composeMail({ text: "x" }, { ...FIELDS, ...more }),
      (error) => error instanceof ComposeRefused && error.field === field && reason.test(error.reason),
      JSON.stringify(more),
    );
  }
  assert.throws(() => composeMail({}, FIELDS), /neither text nor HTML/);
});
