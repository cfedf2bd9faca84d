// Header injection: whatever stands in the fields of an email that a caller controls, it is either refused (by the rules of
// entry in a real database, or by composition) or becomes exactly the headers that were given: none more, none less, no
// recipient more, only CRLF, no line over 998 octets. What was written is read by three parsers that are not ours.
//
// Thousands of cases by default; a million by hand (ten minutes):
//   POSTLANE_FUZZ_RUNS=1000000 node --test dist/test/fuzz/header-injection.test.js

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { domainToASCII } from "node:url";
import fc from "fast-check";
import { simpleParser, type AddressObject, type ParsedMail } from "mailparser";
import type { ClientBase, Pool } from "pg";
import PostalMime, { decodeWords } from "postal-mime";
import { ComposeRefused } from "../../src/compose/compose-refused.ts";
import { createComposer, type Composer } from "../../src/dispatcher/compose-message.ts";
import { parseMailbox } from "../../src/mail/address.ts";
import type { CampaignId, MessageId } from "../../src/mail/ids.ts";
import type { ClaimedRow } from "../../src/queue/queue-store.ts";
import { acceptGroup } from "../../src/submission/submission-store.ts";
import type { Email, Submission } from "../../src/submission/submission.ts";
import { needs } from "../rig/needs.ts";
import { testDatabase } from "../rig/postgres.ts";

const RUNS = Number(process.env["POSTLANE_FUZZ_RUNS"] ?? 6000);
const SEED = Number(process.env["POSTLANE_FUZZ_SEED"] ?? Date.now() % 1_000_000_000);
const BATCH = 250;
/** Of a batch, read by mailparser too: it takes ten times as long as the rest. */
const READ_BY_MAILPARSER = 40;
const WALL_MS = 1_700_000_000_000;

// ---- what callers give -----------------------------------------------------------------------------------------------

/** Neither NUL nor half characters: JSON in PostgreSQL takes none, see the last test. */
const PIECES = [
  ...Array.from("\r\n\t\v\f\b\u001b\u007f\u0085\u00a0\u2003\u2028\u2029\u3000\ufeff <>@.,;:\"'\\()[]=?_-éß漢😀"),
  "\r\n",
  "\r\n ",
  "\n\n",
  "\r\n\r\n",
  "\r\nBcc: evil@example.org",
  "\nBcc: evil@example.org\n",
  "\r\n\r\n<script>",
  "\u2028Bcc: evil@example.org",
  "%0D%0ABcc: evil@example.org",
  "\\r\\nBcc: evil@example.org",
  "嘊嘍Bcc: evil@example.org",
  "=?utf-8?Q?=0D=0ABcc:=20evil@example.org?=",
  "=?utf-8?B?DQpCY2M6IGV2aWxAZXhhbXBsZS5vcmc=?=",
  "=?utf-8?Q?",
  "?=",
  "evil@example.org",
  "<evil@example.org>",
  ", <evil@example.org>",
  '", evil@example.org, "',
  "evil: evil@example.org;",
  ".\r\n",
  "\r\n.\r\nMAIL FROM:<evil@example.org>",
  "--=_",
  "w".repeat(80),
  "ü".repeat(400),
  "x".repeat(1100),
  "a b ".repeat(300),
];
const nasty = fc.array(fc.oneof(fc.constantFrom(...PIECES), fc.constantFrom("a", "Hello", " ")), {
  minLength: 1,
  maxLength: 7,
});
const nastyText = nasty.map((parts) => parts.join(""));
/** Without what is refused at once, so that many get through to be written and read. */
// oxlint-disable-next-line no-control-regex
const sneaky = nastyText.map((text) => text.replaceAll(/[\u0000-\u001f\u007f]/g, ""));
const anyText = fc.oneof({ weight: 3, arbitrary: sneaky }, { weight: 1, arbitrary: nastyText });

const address = fc.constantFrom("ann@example.com", "bob@example.net", "carl.x+y@sub.example.org", "dörte@exämple.com");
const mailbox = fc.oneof(
  { weight: 3, arbitrary: address },
  { weight: 3, arbitrary: fc.tuple(anyText, address).map(([name, at]) => `${name} <${at}>`) },
  {
    weight: 2,
    arbitrary: fc.tuple(sneaky, address).map(([name, at]) => `"${name.replaceAll(/["\\]/g, String.raw`\$&`)}" <${at}>`),
  },
  { weight: 1, arbitrary: fc.tuple(anyText, anyText).map(([name, at]) => `${name}<${at}@example.com>`) },
  { weight: 1, arbitrary: anyText },
);
const mailboxes = fc.oneof(
  { weight: 3, arbitrary: mailbox },
  { weight: 2, arbitrary: fc.array(mailbox, { minLength: 1, maxLength: 3 }) },
);
const headerName = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("X-One", "X-Order-Id", "List-Id", "Comments", "X-Two") },
  { weight: 1, arbitrary: anyText.map((text) => `X-${text}`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("Bcc", "bCC", "Resent-Bcc", "To ", "Content-Type", "X:Bcc", "", "__proto__"),
  },
);
const headers = fc.array(fc.tuple(headerName, anyText), { maxLength: 3 }).map((pairs) => Object.fromEntries(pairs));
const tag = fc.record({ name: anyText, value: anyText });
const rarely = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 1 });

const email: fc.Arbitrary<Email> = fc
  .record({
    to: mailboxes,
    subject: fc.option(anyText, { nil: undefined }),
    text: fc.oneof(fc.constant("Hello"), nastyText),
    from: rarely(mailbox),
    cc: rarely(mailboxes),
    bcc: rarely(mailboxes),
    reply_to: rarely(mailboxes),
    html: rarely(nastyText),
    headers: fc.option(headers, { nil: undefined }),
    tags: fc.option(fc.array(tag, { maxLength: 1 }), { nil: undefined, freq: 6 }),
  })
  .map(
    (given) => Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as unknown as Email,
  );

/** One or two fields of malice: with all at once nearly everything would be refused for the first. */
const plain = { to: "ann@example.com", text: "Hello" };
const oneSided: fc.Arbitrary<Email> = fc
  .tuple(email, fc.shuffledSubarray(FIELDS_OF_MALICE(), { minLength: 1, maxLength: 2 }))
  .map(([whole, kept]) => ({
    ...plain,
    ...Object.fromEntries(Object.entries(whole).filter(([key]) => kept.includes(key))),
  }));

function FIELDS_OF_MALICE(): string[] {
  return ["to", "subject", "text", "from", "cc", "bcc", "reply_to", "html", "headers", "tags"];
}

// ---- the property ----------------------------------------------------------------------------------------------------

test(`refused, or exactly the headers that were given (${RUNS} emails, seed ${SEED})`, async (t) => {
  const { pool } = await testDatabase(t);
  const composer = createComposer(SHOP);
  const counts = { given: 0, refused: 0, held: 0, written: 0 };
  for (let batch = 0; counts.given < RUNS; batch++) {
    const emails = fc.sample(fc.oneof({ weight: 4, arbitrary: oneSided }, { weight: 1, arbitrary: email }), {
      numRuns: Math.min(BATCH, RUNS - counts.given),
      seed: SEED + batch,
    });
    const accepted = await acceptAll(pool, emails);
    counts.given += emails.length;
    counts.refused += emails.length - accepted.length;
    const written = accepted.flatMap((row) => compose(composer, row));
    counts.held += accepted.length - written.length;
    counts.written += written.length;
    for (const [place, mail] of written.entries())
      await told(mail, batch, () => assertMail(mail, place < READ_BY_MAILPARSER));
  }
  t.diagnostic(
    `${counts.given} given: ${counts.refused} refused at entry, ${counts.held} at composition, ${counts.written} written`,
  );
  assert.ok(counts.written > RUNS / 5 && counts.refused > RUNS / 10, "the emails are of both kinds");
});

test("Python's email package reads the same headers and parts", async (t) => {
  if (!needs(t, "python3")) return;
  const { pool } = await testDatabase(t);
  const emails = fc.sample(oneSided, { numRuns: BATCH, seed: SEED });
  const composer = createComposer(SHOP);
  assertReadByPython((await acceptAll(pool, emails)).flatMap((row) => compose(composer, row)));
});

const SHOP = {
  from: "Shop <shop@example.com>",
  lane: "transactional",
  readContent: () => Promise.reject(new Error("no campaign is here")),
  readAttachments: () => Promise.reject(new Error("nobody attaches anything")),
};

interface Accepted {
  readonly given: Email;
  readonly row: ClaimedRow;
}

interface Written {
  readonly given: Email;
  readonly stored: Email;
  readonly octets: Buffer;
  readonly text: string;
}

/** Rolled back at the end: a million emails leave nothing in the database, and wait for no disk. */
async function acceptAll(pool: Pool, emails: readonly Email[]): Promise<readonly Accepted[]> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    return await acceptOn(client, emails);
  } finally {
    await client.query("ROLLBACK");
    client.release();
  }
}

async function acceptOn(client: ClientBase, emails: readonly Email[]): Promise<readonly Accepted[]> {
  const group = emails.map((each): Submission => ({ kind: "email", door: "http", credential: "key:1", email: each }));
  const answers = await acceptGroup(client, group);
  const idsByPlace = answers.flatMap(({ submission_id: id, place }) =>
    id === null ? [] : [[place, Number(id)] as const],
  );
  const { rows } = await client.query<{
    id: number;
    message_id: MessageId;
    recipient: string;
    body: ClaimedRow["content"];
  }>(
    `SELECT DISTINCT ON (c.id) c.id::float8 AS id, m.id AS message_id, m.recipient, c.body
     FROM postlane.content AS c JOIN postlane.message AS m ON m.content_id = c.id WHERE c.id = ANY($1) ORDER BY c.id, m.id`,
    [idsByPlace.map(([, id]) => id)],
  );
  const byId = new Map(rows.map((row) => [row.id, row]));
  return idsByPlace.map(([place, id]) => {
    const { message_id, recipient, body } = byId.get(id)!;
    return { given: emails[place - 1]!, row: rowOf(id, message_id, recipient, body) };
  });
}

function rowOf(id: number, messageId: MessageId, recipient: string, content: ClaimedRow["content"]): ClaimedRow {
  return {
    message_id: messageId,
    campaign_id: 0 as CampaignId,
    destination: "",
    due_us: 0,
    attempts: 0,
    tries: 0,
    rescues: 0,
    state: "queued",
    accepted_on: "2027-01-31",
    accepted_ms: WALL_MS,
    expires_ms: null,
    recipient,
    data: null,
    content_id: id,
    version: null,
    content,
    raw: null,
  };
}

function compose(composer: Composer, { given, row }: Accepted): readonly Written[] {
  try {
    const composed = composer.compose(row, WALL_MS);
    assert.ok(!("octets" in composed), "it is signed without a key");
    const { content } = composed;
    return [
      {
        given,
        stored: row.content as unknown as Email,
        text: content.text,
        octets: Buffer.from(content.text, "latin1"),
      },
    ];
  } catch (error) {
    assert.ok(error instanceof ComposeRefused, `${String(error)}: ${JSON.stringify(given)}`);
    return [];
  }
}

async function told(mail: Written, batch: number, check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (error) {
    const about = `seed ${SEED + batch}: ${JSON.stringify(mail.given)}\n${JSON.stringify(mail.text.slice(0, 4000))}`;
    throw new Error(`${(error as Error).message}\n${about}`, { cause: error });
  }
}

async function assertMail(mail: Written, isReadByMailparser: boolean): Promise<void> {
  assertLines(mail);
  assert.deepEqual(sorted(namesOf(mail)), sorted(expectedNames(mail)));
  await assertReadByPostalMime(mail);
  if (isReadByMailparser)
    assertReadByMailparser(mail, await simpleParser(mail.octets, { skipTextToHtml: true, skipImageLinks: true }));
}

function assertLines({ text }: Written): void {
  // oxlint-disable-next-line no-control-regex
  assert.ok(!/\r(?!\n)|(?<!\r)\n|\u0000/.test(text), "a bare CR, bare LF or NUL");
  for (const line of text.split("\r\n")) assert.ok(line.length <= 998, "a line over 998 octets");
}

function headerLines({ text }: Written): readonly string[] {
  return text.slice(0, text.indexOf("\r\n\r\n")).split("\r\n");
}

function namesOf(mail: Written): readonly string[] {
  return headerLines(mail).flatMap((line) => {
    if (/^[ \t]+\S/.test(line)) return [];
    const name = /^([!-9;-~]+):/.exec(line)?.[1];
    assert.ok(name !== undefined, `no header line: ${JSON.stringify(line)}`);
    return [name];
  });
}

/** Nothing of tags, metadata and bcc. */
function expectedNames({ stored: { cc, reply_to, subject, text, html, headers: own } }: Written): readonly string[] {
  const parts = [text, html].filter((part) => part !== undefined).length;
  return [
    "From",
    "To",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Auto-Submitted",
    "Feedback-ID",
    ...(cc === undefined ? [] : ["Cc"]),
    ...(reply_to === undefined ? [] : ["Reply-To"]),
    ...(subject === undefined ? [] : ["Subject"]),
    ...(parts > 1 ? [] : ["Content-Transfer-Encoding"]),
    ...Object.keys(own ?? {}),
  ];
}

const sorted = (texts: readonly string[]): readonly string[] => texts.toSorted((a, b) => (a < b ? -1 : 1));
/** Decoders drop a byte order mark where one begins. */
const seen = (text: string): string => Buffer.from(text, "utf8").toString("utf8").replaceAll("\ufeff", "");
/** Readers end a text with line breaks of their own. */
const bodyOf = (text: string | undefined | false): string =>
  seen(text || "")
    .replaceAll(/\r\n?/g, "\n")
    .replace(/\n+$/, "");

/** As it goes into a header. */
function wire(given: string | readonly string[] | undefined): readonly string[] {
  const list = given === undefined ? [] : typeof given === "string" ? [given] : given;
  return list.map((each) => {
    const parsed = parseMailbox(each);
    assert.ok(parsed.kind === "mailbox", each);
    return inAscii(parsed.address);
  });
}

function inAscii(mailAddress: string): string {
  const at = mailAddress.lastIndexOf("@");
  return `${seen(mailAddress.slice(0, at))}@${domainToASCII(mailAddress.slice(at + 1))}`;
}

async function assertReadByPostalMime(written: Written): Promise<void> {
  const { stored, octets } = written;
  const mail = await PostalMime.parse(octets);
  assert.deepEqual(
    sorted(mail.headers.map(({ key }) => key)),
    sorted(expectedNames(written).map((name) => name.toLowerCase())),
  );
  assert.equal(seen(mail.subject ?? ""), seen(stored.subject ?? ""));
  const addresses = (found: typeof mail.to) => (found ?? []).map(({ address: at }) => inAscii(at ?? ""));
  assert.deepEqual(addresses(mail.from === undefined ? [] : [mail.from]), wire(stored.from ?? "shop@example.com"));
  assert.deepEqual([addresses(mail.to), addresses(mail.cc)], [wire(stored.to), wire(stored.cc)]);
  assert.deepEqual([addresses(mail.replyTo), mail.bcc], [wire(stored.reply_to), undefined]);
  assert.deepEqual([bodyOf(mail.text), bodyOf(mail.html)], [bodyOf(stored.text), bodyOf(stored.html)]);
  for (const [name, value] of Object.entries(stored.headers ?? {})) {
    const lines = mail.headerLines.filter(({ line }) => line.startsWith(`${name}:`));
    assert.equal(lines.length, 1, name);
    const unfolded = lines[0]!.line.slice(name.length + 1).replaceAll(/\r?\n(?=[ \t])/g, "");
    assert.equal(seen(decodeWords(unfolded.replace(/^ /, ""))), seen(value));
  }
}

function assertReadByMailparser(written: Written, mail: ParsedMail): void {
  const { stored } = written;
  assert.deepEqual(
    sorted(mail.headerLines.map(({ key }) => key)),
    sorted(expectedNames(written).map((name) => name.toLowerCase())),
  );
  assert.deepEqual(addressesOf(mail.from), wire(stored.from ?? "shop@example.com"));
  assert.deepEqual([addressesOf(mail.to), addressesOf(mail.cc)], [wire(stored.to), wire(stored.cc)]);
  assert.deepEqual([addressesOf(mail.replyTo), mail.bcc], [wire(stored.reply_to), undefined]);
}

function addressesOf(found: AddressObject | AddressObject[] | undefined): readonly string[] {
  const objects = found === undefined ? [] : Array.isArray(found) ? found : [found];
  return objects.flatMap(({ value }) => value).map(({ address: at }) => inAscii(at ?? ""));
}

const PYTHON = `
import base64, email, email.policy, json, sys
for line in sys.stdin:
    mail = email.message_from_bytes(base64.b64decode(line), policy=email.policy.default)
    parts = [part.get_content_type() for part in mail.walk()]
    print(json.dumps({"names": mail.keys(), "parts": parts, "defects": [str(d) for d in mail.defects]}))
`;

function assertReadByPython(mails: readonly Written[]): void {
  const input = mails.map(({ octets }) => `${octets.toString("base64")}\n`).join("");
  const { status, stdout, stderr } = spawnSync("python3", ["-c", PYTHON], { input, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  const read = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { names: string[]; parts: string[]; defects: string[] });
  assert.equal(read.length, mails.length);
  for (const [place, mail] of mails.entries()) {
    const about = JSON.stringify(mail.given);
    assert.deepEqual(sorted(read[place]!.names), sorted(expectedNames(mail)), about);
    const { text, html } = mail.stored;
    const kinds = [...(text === undefined ? [] : ["text/plain"]), ...(html === undefined ? [] : ["text/html"])];
    assert.deepEqual(read[place]!.parts, kinds.length > 1 ? ["multipart/alternative", ...kinds] : kinds, about);
    assert.deepEqual(read[place]!.defects, [], about);
  }
}

test("a NUL and half a character are refused in every field", async (t) => {
  const { pool } = await testDatabase(t);
  for (const character of ["\u0000", "\ud800"]) {
    for (const field of ["from", "to", "cc", "bcc", "reply_to", "subject", "text", "html"]) {
      const given = JSON.stringify({ ...plain, [field]: `a${character}b` });
      await assert.rejects(pool.query("SELECT postlane.enqueue($1::jsonb)", [given]), field);
    }
    const hidden = [
      { headers: { "X-One": character } },
      { headers: { [`X-${character}`]: "1" } },
      { metadata: { a: character } },
    ];
    for (const more of hidden) {
      await assert.rejects(pool.query("SELECT postlane.enqueue($1::jsonb)", [JSON.stringify({ ...plain, ...more })]));
    }
  }
});
