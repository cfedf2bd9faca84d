import assert from "node:assert/strict";
import { test } from "node:test";
import type { MergeScope } from "../templates/compiled-template.ts";
import { encodeOctets } from "./attachment-part.ts";
import { compileMail, mergeMail, type MergeFields } from "./compile-mail.ts";
import { ComposeRefused } from "./compose-refused.ts";

const FIELDS: MergeFields = {
  data: { name: "Ann" },
  recipient: "ann@example.net",
  messageId: "msg_1.1@example.com",
  wallMs: Date.UTC(2027, 0, 2, 3, 4, 5),
};
const name = ({ data }: MergeScope): string => String(data["name"]);
const TEMPLATE = { from: "hello@example.com", subject: ["Hi ", name], text: ["Hello ", name, ",\nbye"] };

test("a merge fills in what the template leaves open, and closes the last line", () => {
  const mail = compileMail(TEMPLATE, { replyTo: "Help <help@example.com>", headers: { "X-Campaign": "7" } });
  assert.equal(
    mergeMail(mail, FIELDS).text,
    [
      "From: hello@example.com",
      "Reply-To: Help <help@example.com>",
      "X-Campaign: 7",
      "MIME-Version: 1.0",
      "To: ann@example.net",
      "Subject: Hi Ann",
      "Date: Sat, 02 Jan 2027 03:04:05 +0000",
      "Message-ID: <msg_1.1@example.com>",
      "Content-Type: text/plain; charset=utf-8",
      "Content-Transfer-Encoding: quoted-printable",
      "",
      "Hello Ann,",
      "bye",
      "",
    ].join("\r\n"),
  );
});

test("a value's line stays short, and no space ends a line", () => {
  const mail = compileMail({ ...TEMPLATE, text: ["x".repeat(70), name, "\nnext"] });
  const bodyOf = (value: string) =>
    mergeMail(mail, { ...FIELDS, data: { name: value } })
      .text.split("\r\n\r\n")
      .slice(1)
      .join("\r\n\r\n");
  assert.equal(bodyOf("12345"), `${"x".repeat(70)}12345\r\nnext\r\n`);
  assert.equal(bodyOf("123456"), `${"x".repeat(70)}=\r\n123456\r\nnext\r\n`);
  assert.equal(bodyOf("1 "), `${"x".repeat(70)}1 =\r\n\r\nnext\r\n`);
  assert.equal(bodyOf("=é"), `${"x".repeat(70)}=\r\n=3D=C3=A9\r\nnext\r\n`);
  assert.equal(bodyOf(""), `${"x".repeat(70)}\r\nnext\r\n`);
});

test("a block's constants are encoded too, and its lines stay short", () => {
  const body = ["é=", name, " ", "x".repeat(40)];
  const twice = {
    bodies: [body, []],
    run: (_: MergeScope, put: (index: number) => void) => [0, 1, 0].forEach((at) => put(at)),
  };
  const merged = mergeMail(compileMail({ ...TEMPLATE, text: ["a\n", twice, "\nb"] }), FIELDS).text;
  const line = `=C3=A9=3DAnn ${"x".repeat(40)}`;
  assert.ok(merged.endsWith(`\r\n\r\na\r\n${line}=C3=A9=3DAnn =\r\n${"x".repeat(40)}\r\nb\r\n`), merged);
});

test("a value's own line breaks become CRLF, also where only its neighbor completes one", () => {
  const mail = compileMail({ ...TEMPLATE, subject: ["s"], text: ["[", name, "\n]"] });
  const bodyOf = (value: string) => mergeMail(mail, { ...FIELDS, data: { name: value } }).text.split("\r\n\r\n[")[1];
  assert.equal(bodyOf("a\r\nb\rc\nd"), "a\r\nb\r\nc\r\nd\r\n]\r\n");
  assert.equal(bodyOf("a\r"), "a\r\n]\r\n");
});

test("the campaign's sender goes before the template's; without any it is refused", () => {
  const merged = mergeMail(compileMail(TEMPLATE, { from: "Other <other@example.com>" }), FIELDS).text;
  assert.ok(merged.startsWith("From: Other <other@example.com>\r\n"));
  const { from: _, ...anonymous } = TEMPLATE;
  assert.throws(() => compileMail(anonymous), /whom it is from/);
});

test("only a local part beyond ASCII makes more than ASCII of it", () => {
  const content = mergeMail(compileMail(TEMPLATE), { ...FIELDS, recipient: "jürgen@example.net", data: { name: "é" } });
  assert.equal(content.isAscii, false);
  assert.ok(mergeMail(compileMail(TEMPLATE), { ...FIELDS, data: { name: "é" } }).isAscii);
});

test("the date follows the clock", () => {
  const mail = compileMail(TEMPLATE);
  const dateAt = (wallMs: number) => /Date: (.*)\r/.exec(mergeMail(mail, { ...FIELDS, wallMs }).text)![1];
  assert.equal(dateAt(999), "Thu, 01 Jan 1970 00:00:00 +0000");
  assert.equal(dateAt(1000), "Thu, 01 Jan 1970 00:00:01 +0000");
  assert.throws(() => dateAt(Number.NaN), RangeError);
});

test("data that would break a header stops its message, and too much of it too", () => {
  const mail = compileMail(TEMPLATE);
  const refuses = (data: MergeFields["data"], field: string, more: Partial<MergeFields> = {}) =>
    assert.throws(
      () => mergeMail(mail, { ...FIELDS, data, ...more }),
      (error) => error instanceof ComposeRefused && error.field === field,
    );
  refuses({ name: "Ann\r\nBcc: x@example.org" }, "Subject");
  refuses({ name: "n".repeat(1000) }, "Subject");
  refuses({ name: "Ann" }, "To", { recipient: "ann@example.net\r\nBcc: x@example.org" });
  const large = compileMail({ ...TEMPLATE, subject: ["x"] });
  assert.throws(() => mergeMail(large, { ...FIELDS, data: { name: "n".repeat(5_000_001) } }), /more than 5000000/);
});

test("attachments stand around the merged bodies, in the form that their octets come in", () => {
  const heads = [{ filename: "logo.png", contentId: "logo" }, { filename: "a.pdf" }];
  const octets = ["logo", "terms"].map((text) => encodeOctets(Buffer.from(text)));
  const html = ['<img src="cid:logo">', name];
  const merge = (template: object, given: Partial<MergeFields> = {}) =>
    mergeMail(compileMail({ ...TEMPLATE, ...template }, {}, heads), { ...FIELDS, octets, ...given });
  const { text } = merge({ html });
  const linesOf = (mail: string, pattern: RegExp) => mail.match(pattern);
  const parts = /(?:multipart|text|image|application)\/\w+|^--.*|^(?:bG9nbw==|dGVybXM=)$/gm;
  const id = "msg-1.1-example.com";
  assert.deepEqual(linesOf(text, parts), [
    "multipart/mixed",
    `--=_m_${id}`,
    "multipart/related",
    "multipart/alternative",
    `--=_r_${id}`,
    "multipart/alternative",
    `--=_${id}`,
    "text/plain",
    `--=_${id}`,
    "text/html",
    `--=_${id}--`,
    `--=_r_${id}`,
    "image/png",
    "bG9nbw==",
    `--=_r_${id}--`,
    `--=_m_${id}`,
    "application/pdf",
    "dGVybXM=",
    `--=_m_${id}--`,
  ]);
  assert.ok(text.endsWith("--\r\n"));
  assert.deepEqual(
    linesOf(merge({}).text, /(?:multipart|text|image|application)\/\w+/g),
    ["multipart/mixed", "text/plain", "image/png", "application/pdf"],
    "without HTML nothing can show one",
  );
  const beyond = merge({ html }, { recipient: "jürgen@example.net" });
  assert.deepEqual([beyond.isAscii, beyond.isUtf8], [false, true]);
  assert.ok(Buffer.from(beyond.text, "latin1").toString("utf8").includes("To: jürgen@example.net\r\n"));
  assert.throws(
    () => compileMail(TEMPLATE, {}, [heads[0]!, heads[0]!]),
    /attachments\[1\]\.content_id: two attachments/,
  );
});
