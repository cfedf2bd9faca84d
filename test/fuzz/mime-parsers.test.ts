// A mail as three programs read it that nobody here wrote: postal-mime, mailparser and Python's email. Subject, names,
// addresses, texts, and of attachments names, types, content ids and octets equal what went in, in any script and size;
// the parts are nested as RFC 2046 and 2387 want, and no line is longer than it may be. Mails that are written at once and
// mails that are merged from a template, by turns.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { simpleParser } from "mailparser";
import PostalMime, { decodeWords } from "postal-mime";
import { encodeOctets, type Attachment } from "../../src/compose/attachment-part.ts";
import { compileMail, mergeMail } from "../../src/compose/compile-mail.ts";
import { composeMail } from "../../src/compose/compose-mail.ts";
import { contentTypeOf } from "../../src/compose/content-kind.ts";
import type { MergeScope, Piece } from "../../src/templates/compiled-template.ts";
import { needs } from "../rig/needs.ts";
import { startPython, type PythonMail, type PythonMailbox } from "../rig/python-mail.ts";

/** For more, by hand: POSTLANE_FUZZ_RUNS=20000 node --test dist/test/fuzz/mime-parsers.test.js */
const RUNS = Number(process.env["POSTLANE_FUZZ_RUNS"] ?? 200);

const words = fc.constantFrom(
  "Hello",
  "Rechnung Nº 4711",
  "Grüße",
  "Привет",
  "你好世界",
  "שלום",
  "مرحبا",
  "नमस्ते",
  "🎉",
  "👩‍👩‍👧",
  "e\u0301",
  "\u202eexe.fdp",
  "\ud800",
  "x\udc00y",
  "=?utf-8?B?SGk=?=",
  "=?",
  "a,b;c:d",
  '"q"',
  "back\\slash",
  "it's 100%",
  "UTF-8''x",
  "a*0*=b",
  "<b>",
  "..",
  "a/b",
  "(c)",
  "w".repeat(90),
  "ю".repeat(70),
  "漢".repeat(40),
);
const joined = fc
  .array(words, { minLength: 1, maxLength: 4 })
  .chain((list) => fc.constantFrom(list.join(" "), list.join("")));
const scripts = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 });
// oxlint-disable-next-line no-control-regex
const hasControl = (text: string): boolean => /[\u0000-\u001f\u007f]/.test(text);
/** A reader strips white space from names, and what it takes for a byte order mark. */
const name = fc
  .oneof({ weight: 3, arbitrary: joined }, { weight: 1, arbitrary: scripts })
  .filter((text) => !hasControl(text))
  .map((text) => Array.from(text.replaceAll("\ufeff", "").trim()).slice(0, 240).join("").trim())
  .filter((text) => text !== "");
const extension = fc.constantFrom("", ".pdf", ".png", ".txt", ".HTML", ".csv", ".eml", ".tar.gz", ".ü");
const body = fc
  .array(fc.tuple(joined, fc.constantFrom("\n", "\r\n", "\n\n", " \n", "")), { maxLength: 6 })
  .map((pairs) => pairs.flat().join(""));
const size = fc.constantFrom(0, 1, 2, 3, 56, 57, 58, 114, 500);
const octets = size.chain((length) => fc.uint8Array({ minLength: length, maxLength: length }));

interface GivenAttachment {
  readonly filename: string;
  readonly contentType?: string;
  readonly contentId?: string;
  readonly octets: Uint8Array;
}

const attachment: fc.Arbitrary<GivenAttachment> = fc
  .record({
    filename: fc.tuple(name, extension).map((parts) => parts.join("")),
    contentType: fc.option(
      fc.constantFrom(
        "application/pdf",
        "text/plain",
        "text/csv; charset=utf-8",
        'image/png; x="a; b, c"',
        "X-a/x.b+c",
      ),
      { nil: undefined },
    ),
    contentId: fc.option(fc.constantFrom("logo", "part1.2@shop.example", "a+b/c=d"), { nil: undefined }),
    octets,
  })
  .map(withoutUndefined);

const attachments = fc.uniqueArray(attachment, { maxLength: 4, selector: ({ contentId }) => contentId ?? {} });

interface Given {
  readonly subject: string;
  readonly fromName: string;
  readonly toName: string;
  readonly text?: string;
  readonly html?: string;
  readonly attachments: readonly GivenAttachment[];
  /** As a campaign writes it, to one recipient. */
  readonly isMerged: boolean;
}

const given: fc.Arbitrary<Given> = fc
  .record({
    subject: name,
    fromName: name,
    toName: name,
    text: fc.option(body, { nil: undefined }),
    html: fc.option(body, { nil: undefined }),
    attachments,
    isMerged: fc.boolean(),
  })
  .map((each) => withoutUndefined(each.text === undefined && each.html === undefined ? { ...each, text: "" } : each));

function withoutUndefined<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

// ---- what is written -------------------------------------------------------------------------------------------------

function write(each: Given): Buffer {
  const list = each.attachments.map((one): Attachment => ({ ...one, octets: encodeOctets(one.octets) }));
  return Buffer.from(each.isMerged ? merged(each, list) : composed(each, list), "latin1");
}

const FIELDS = { messageId: "msg_1.1@example.com", wallMs: 1_700_000_000_000 };

function composed({ subject, fromName, toName, text, html }: Given, list: readonly Attachment[]): string {
  const from = `${quoted(fromName)} <hello@example.com>`;
  const to = [`${quoted(toName)} <ann@example.net>`, "bob@example.net"];
  const bodies = withoutUndefined<{ text?: string; html?: string }>({ text, html });
  return composeMail({ ...bodies, attachments: list }, { ...FIELDS, from, to, subject }).text;
}

function merged({ subject, fromName, text, html }: Given, list: readonly Attachment[]): string {
  const from = `${quoted(fromName)} <hello@example.com>`;
  const parts = withoutUndefined<{ text?: readonly Piece[]; html?: readonly Piece[] }>({
    text: text === undefined ? undefined : halfMerged("text", text),
    html: html === undefined ? undefined : halfMerged("html", html),
  });
  const subjectPiece = ({ data }: MergeScope): string => String(data["subject"]);
  const mail = compileMail({ from, subject: [subjectPiece], ...parts }, {}, list);
  const octets = list.map((one) => one.octets);
  const data = { subject, text: halvesOf(text ?? "")[1], html: halvesOf(html ?? "")[1] };
  return mergeMail(mail, { ...FIELDS, data, recipient: "bob@example.net", octets }).text;
}

/** The first half is the template's, the second the recipient's. */
function halfMerged(part: "text" | "html", text: string): readonly Piece[] {
  return [halvesOf(text)[0], ({ data }: MergeScope): string => String(data[part])];
}

/** Never within a character or a line break: no template ends there. */
function halvesOf(text: string): readonly [string, string] {
  const characters = text.match(/\r\n|[^]/gu) ?? [];
  const half = characters.length / 2;
  return [characters.slice(0, half).join(""), characters.slice(half).join("")];
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

function assertLines(mail: Buffer): void {
  const text = mail.toString("latin1");
  assert.ok(!/\r(?!\n)|(?<!\r)\n|[^\r\n\t -~]/.test(text), "only CRLF and printable ASCII");
  let isHeader = true;
  for (const line of text.split("\r\n")) {
    if (line.startsWith("--=_")) isHeader = true;
    else if (line === "") isHeader = false;
    // No word of these headers is too long to be folded.
    assert.ok(line.length <= 78, `${isHeader ? "header" : "body"} line of ${line.length}: ${line}`);
  }
}

// ---- what is to be read ----------------------------------------------------------------------------------------------

const seen = (text: string): string => Buffer.from(text, "utf8").toString("utf8");
/** Readers end a text with line breaks of their own; one reads an empty text as one. */
const bodyOf = (text: string | null | undefined | false): string =>
  seen(text || "")
    .replaceAll(/\r\n?/g, "\n")
    .replace(/\n+$/, "");
const OCTET_STREAM = "application/octet-stream";
const typeOf = ({ contentType, filename }: GivenAttachment): string =>
  (contentType?.split(";")[0] ?? contentTypeOf(filename)).toLowerCase();
const dispositionOf = (each: GivenAttachment): string =>
  each.contentId !== undefined && !typeOf(each).startsWith("text/") ? "inline" : "attachment";

/** In the order in which they stand in the mail. */
function expectedAttachments({ html, attachments: list }: Given): readonly GivenAttachment[] {
  const isShown = ({ contentId }: GivenAttachment): boolean => contentId !== undefined && html !== undefined;
  return [...list.filter(isShown), ...list.filter((each) => !isShown(each))];
}

function expectedTree({ text, html, attachments: list }: Given): unknown {
  const bodies = [...(text === undefined ? [] : [["text/plain"]]), ...(html === undefined ? [] : [["text/html"]])];
  const shown = html === undefined ? [] : list.filter(({ contentId }) => contentId !== undefined);
  const attached = list.filter((each) => !shown.includes(each));
  let tree: unknown = bodies.length === 1 ? bodies[0] : ["multipart/alternative", ...bodies];
  if (shown.length > 0) tree = ["multipart/related", tree, ...shown.map((each) => [typeOf(each)])];
  return attached.length > 0 ? ["multipart/mixed", tree, ...attached.map((each) => [typeOf(each)])] : tree;
}

function expectedTo({ toName, isMerged }: Given): readonly PythonMailbox[] {
  const bob = { name: "", address: "bob@example.net" };
  return isMerged ? [bob] : [{ name: seen(toName), address: "ann@example.net" }, bob];
}

async function assertPostalMime(mail: Buffer, expected: Given): Promise<void> {
  const read = await PostalMime.parse(mail, { attachmentEncoding: "arraybuffer" });
  assert.equal(read.subject ?? "", seen(expected.subject));
  assert.deepEqual(read.from, { address: "hello@example.com", name: seen(expected.fromName) });
  assert.deepEqual(read.to, expectedTo(expected));
  if (expected.text !== undefined) assert.equal(bodyOf(read.text), bodyOf(expected.text));
  if (expected.html !== undefined) assert.equal(bodyOf(read.html), bodyOf(expected.html));
  const found = read.attachments.map(({ filename, mimeType, contentId, disposition, content }) => ({
    filename,
    type: mimeType.toLowerCase(),
    id: contentId,
    disposition,
    octets: hex(new Uint8Array(content as ArrayBuffer)),
  }));
  const wanted = expectedAttachments(expected).map((each) => ({
    // It decodes what looks like an encoded-word, wherever it stands.
    filename: decodeWords(seen(each.filename)),
    type: typeOf(each),
    id: each.contentId === undefined ? undefined : `<${each.contentId}>`,
    disposition: dispositionOf(each),
    octets: hex(each.octets),
  }));
  assert.deepEqual(found, wanted);
}

async function assertMailparser(mail: Buffer, expected: Given): Promise<void> {
  const read = await simpleParser(mail, { skipTextToHtml: true, skipImageLinks: true, skipHtmlToText: true });
  assert.equal(read.subject ?? "", seen(expected.subject));
  assert.deepEqual(
    read.from?.value.map(({ address, name: found }) => [found, address]),
    [[seen(expected.fromName), "hello@example.com"]],
  );
  assert.deepEqual([bodyOf(read.text), bodyOf(read.html)], [bodyOf(expected.text), bodyOf(expected.html)]);
  const wanted = expectedAttachments(expected).map((each) => ({
    filename: seen(each.filename),
    type: typeOf(each),
    id: each.contentId,
    disposition: dispositionOf(each),
    octets: hex(each.octets),
  }));
  const found = read.attachments.map(({ filename, contentType, cid, contentDisposition, content }, place) => ({
    filename,
    // It looks at the name of what is of no known type.
    type: wanted[place]?.type === OCTET_STREAM ? OCTET_STREAM : contentType.toLowerCase(),
    id: cid,
    disposition: contentDisposition,
    octets: hex(content),
  }));
  assert.deepEqual(found, wanted);
}

function assertPython(read: PythonMail, expected: Given): void {
  assert.equal(read.subject ?? "", seen(expected.subject));
  assert.deepEqual(read.from.map(withoutSpaces), [
    withoutSpaces({ name: seen(expected.fromName), address: "hello@example.com" }),
  ]);
  assert.deepEqual(read.to.map(withoutSpaces), expectedTo(expected).map(withoutSpaces));
  assert.deepEqual(read.tree, expectedTree(expected));
  assert.deepEqual([bodyOf(read.text), bodyOf(read.html)], [bodyOf(expected.text), bodyOf(expected.html)]);
  const found = read.attachments.map((each) => ({ ...each, octets: hex(each.octets) }));
  const wanted = expectedAttachments(expected).map((each) => ({
    filename: unquoted(seen(each.filename)),
    type: typeOf(each),
    id: each.contentId === undefined ? null : `<${each.contentId}>`,
    disposition: dispositionOf(each),
    octets: hex(each.octets),
  }));
  assert.deepEqual(found, wanted);
  assert.deepEqual(read.defects, []);
}

/** What Python does to a file name, however it is written. */
function unquoted(filename: string): string {
  return /^(?:".*"|<.*>)$/s.test(filename) && filename.length > 1
    ? filename.slice(1, -1).replaceAll(/\\([\\"])/g, "$1")
    : filename;
}

/** Python before 3.13 keeps the line break between two encoded-words of a name as a space, which RFC 2047 §6.2 forbids. */
function withoutSpaces({ name: given, address }: PythonMailbox): PythonMailbox {
  return { name: given.replaceAll(" ", ""), address };
}

const hex = (given: Uint8Array): string => Buffer.from(given).toString("hex");

// ---- the properties --------------------------------------------------------------------------------------------------

test("postal-mime reads what went in", async () => {
  await fc.assert(
    fc.asyncProperty(given, async (each) => {
      const mail = write(each);
      assertLines(mail);
      await assertPostalMime(mail, each);
    }),
    { numRuns: RUNS },
  );
});

test("mailparser reads what went in", async () => {
  await fc.assert(
    fc.asyncProperty(given, async (each) => assertMailparser(write(each), each)),
    { numRuns: RUNS },
  );
});

test("Python's email reads what went in, and finds nothing wrong", async (t) => {
  if (!needs(t, "python3")) return;
  const python = startPython(t);
  await fc.assert(
    fc.asyncProperty(given, async (each) => assertPython(await python.read(write(each)), each)),
    { numRuns: RUNS },
  );
});

test("a megabyte of every octet comes back, to all three", async (t) => {
  const large = {
    subject: "Large",
    fromName: "Shop",
    toName: "Ann",
    text: "Hello",
    html: "<img src='cid:logo'>",
    attachments: [
      { filename: "größe.bin", octets: Buffer.alloc(1024 * 1024).map((_, at) => (at * 131 + (at >> 8)) & 255) },
      { filename: "lines.txt", octets: Buffer.from("\r\n.\r\n\n..\r\0\u00ff".repeat(20_000)) },
      { filename: "logo.png", contentId: "logo", octets: Buffer.alloc(100_000, "logo") },
    ],
  };
  const python = needs(t, "python3") ? startPython(t) : undefined;
  for (const isMerged of [false, true]) {
    const each: Given = { ...large, isMerged };
    const mail = write(each);
    assertLines(mail);
    await assertPostalMime(mail, each);
    await assertMailparser(mail, each);
    if (python !== undefined) assertPython(await python.read(mail), each);
  }
});
