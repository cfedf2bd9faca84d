import assert from "node:assert/strict";
import { test } from "node:test";
import { type Attachment, attachmentHeaders, encodeOctets } from "./attachment-part.ts";
import { composeMail } from "./compose-mail.ts";
import { ComposeRefused } from "./compose-refused.ts";
import { contentTypeOf, contentTypeProblem } from "./content-kind.ts";

const octets = encodeOctets(Buffer.from("Hello"));
const attachment = (given: Partial<Attachment> = {}): Attachment => ({ filename: "a.txt", octets, ...given });
const headersOf = (given: Partial<Attachment>): readonly string[] =>
  attachmentHeaders(attachment(given), 0).split("\r\n").slice(0, -1);

test("a plain name stands in quotes, and its type is what the extension says", () => {
  assert.deepEqual(headersOf({ filename: "My report.PDF" }), [
    "Content-Type: application/pdf",
    "Content-Transfer-Encoding: base64",
    "Content-Disposition: attachment;",
    ' filename="My report.PDF"',
  ]);
});

test("a name in another script is written by RFC 2231, with ASCII beside it in the type", () => {
  assert.deepEqual(headersOf({ filename: "Übersicht 漢.pdf" }), [
    "Content-Type: application/pdf;",
    ' name="Ubersicht _.pdf"',
    "Content-Transfer-Encoding: base64",
    "Content-Disposition: attachment;",
    " filename*=UTF-8''%C3%9Cbersicht%20%E6%BC%A2.pdf",
  ]);
});

test("a long name goes over several lines, and no character over two", () => {
  const lines = headersOf({ filename: `${"漢".repeat(30)}.pdf` });
  const pieces = lines.filter((line) => line.startsWith(" filename*"));
  assert.deepEqual(
    pieces.map((line) => /^ filename\*(\d+)\*=/.exec(line)![1]),
    ["0", "1", "2", "3", "4"].slice(0, pieces.length),
  );
  assert.ok(pieces.length > 3 && lines.every((line) => line.length <= 78), lines.join("\n"));
  for (const piece of pieces) assert.match(piece, /=(?:UTF-8'')?(?:%E6%BC%A2)*(?:\.pdf)?;?$/);
});

test("an attachment with an id is shown within, but for a text", () => {
  assert.deepEqual(headersOf({ filename: "a.png", contentId: "logo" }).slice(2), [
    "Content-ID: <logo>",
    "Content-Disposition: inline;",
    ' filename="a.png"',
  ]);
  assert.ok(headersOf({ contentId: "text" }).includes("Content-Disposition: attachment;"));
});

test("a type may have parameters, each on a line of its own, a semicolon within quotes left alone", () => {
  const [first, second, third] = headersOf({ contentType: 'text/calendar; method=REQUEST ;charset="a; b"' });
  assert.deepEqual([first, second, third], ["Content-Type: text/calendar;", " method=REQUEST;", ' charset="a; b"']);
  assert.ok(!headersOf({ filename: "ü", contentType: "a/b; name=x" }).join().includes('name="_"'));
});

test("base64 has lines of 76, and the octets of every size come back", () => {
  for (const size of [0, 1, 2, 3, 56, 57, 58, 113, 114, 115, 10_000]) {
    const given = Buffer.alloc(size).map((_, at) => at & 255);
    const { base64 } = encodeOctets(given);
    assert.ok(Buffer.from(base64, "base64").equals(given));
    const lines = base64.split("\r\n");
    assert.ok(lines.slice(0, -1).every((line) => line.length === 76) && lines.at(-1)!.length <= 76, String(size));
  }
  assert.equal(encodeOctets(Buffer.from("xxHelloxx").subarray(2, 7)).base64, "SGVsbG8=");
});

test("what cannot be a header is refused with its field's name", () => {
  const refusals: readonly (readonly [Partial<Attachment>, string])[] = [
    [{ filename: "" }, "filename"],
    [{ filename: "a\r\nBcc: b" }, "filename"],
    [{ filename: "a\u0000" }, "filename"],
    [{ filename: "a\tb" }, "filename"],
    [{ filename: "x".repeat(256) }, "filename"],
    [{ contentType: "pdf" }, "content_type"],
    [{ contentType: "a/b\r\nBcc: c" }, "content_type"],
    [{ contentType: 'a/b; c="\r\n"' }, "content_type"],
    [{ contentType: "message/rfc822" }, "content_type"],
    [{ contentType: "Multipart/Mixed; boundary=x" }, "content_type"],
    [{ contentType: `a/${"b".repeat(254)}` }, "content_type"],
    [{ contentId: "" }, "content_id"],
    [{ contentId: "a>b" }, "content_id"],
    [{ contentId: "a b" }, "content_id"],
    [{ contentId: "ü" }, "content_id"],
    [{ contentId: "x".repeat(129) }, "content_id"],
  ];
  const fields = { from: "a@example.com", to: ["b@example.com"], messageId: "m@example.com", wallMs: 0 };
  for (const [given, field] of refusals) {
    const attachments = [attachment(), attachment(given)];
    assert.throws(
      () => composeMail({ text: "", attachments }, fields),
      (error: unknown) => error instanceof ComposeRefused && error.field === `attachments[1].${field}`,
      JSON.stringify(given),
    );
  }
  const twice = [attachment({ contentId: "x" }), attachment({ contentId: "x" })];
  assert.throws(() => composeMail({ text: "", attachments: twice }, fields), { field: "attachments[1].content_id" });
});

test("every type of the table may be one, and an .eml is octets", () => {
  for (const name of ["a.pdf", "a.docx", "a.SVG", "a.ics", "a", ".png", "a.tar.gz", "a.constructor"])
    assert.equal(contentTypeProblem(contentTypeOf(name)), undefined);
  assert.equal(contentTypeOf("a.eml"), "application/octet-stream");
  assert.equal(contentTypeOf("a.constructor"), "application/octet-stream");
  assert.equal(contentTypeOf("logo.PNG"), "image/png");
});
