// DKIM signatures (RFC 6376, RFC 8301, RFC 8463) for a whole mail: relaxed/relaxed, no `l=`, one for each key, put in
// front in the order of the keys. Nothing else of the mail changes, whether we wrote it or it came by SMTP; signatures of
// others stay and are not signed. What is costly, the signature itself and the hash of a large body, runs on the thread
// pool. Pure apart from `node:crypto`.
//
// Not signed: a mail without a From field or with several (RFC 6376 §5.4 wants From signed, and RFC 5322 §3.6 has one),
// one from whose From no domain can be read, and one with more fields to sign than `SIGNED_FIELDS_MAX`.

import { createHash, sign, webcrypto, type KeyObject } from "node:crypto";
import { domainOf, parseMailbox } from "../mail/address.ts";
import type { Content } from "../mail/envelope.ts";
import { relaxedBody, relaxedField, relaxedValue } from "./dkim-relaxed.ts";
import { fromDomain } from "./from-domain.ts";
import { wireAddress } from "./mailbox-header.ts";
import type { SigningKey, SigningKeys } from "./signing-key.ts";

export interface MailSigner {
  /** Whether mail from this mailbox, as it is configured or given, is signed. */
  signsFrom(mailbox: string): boolean;
  /** Whether a mail with this header, in which each field ends in CRLF, is signed. */
  signs(header: string): boolean;
  /** Undefined: this mail is not signed. The promise fails when a key cannot sign. */
  sign(content: Content, wallMs: number): Promise<Content> | undefined;
}

/** A mail of ours has 10 to 20 of them; with more than this it goes unsigned. */
export const SIGNED_FIELDS_MAX = 200;

export function createMailSigner(keys: SigningKeys): MailSigner {
  const domains = new Map<string, string | undefined>();
  const keysOfMail = ({ fields }: Header): readonly SigningKey[] => {
    const from = fields.get("from");
    return from?.length === 1 ? keysOf(from[0]!) : [];
  };
  const keysOf = (from: string): readonly SigningKey[] => {
    const domain = domains.has(from) ? domains.get(from) : fromDomain(from);
    // A campaign has one, a site a few.
    if (domains.size >= FROMS_KEPT_MAX) domains.clear();
    domains.set(from, domain);
    return domain === undefined ? [] : keys.keysFor(domain);
  };
  const folds = new Map<string, string>();
  const foldedNames = (names: string): string => {
    let folded = folds.get(names);
    if (folded === undefined) {
      folded = foldAtColons(names);
      if (folds.size >= FOLDS_KEPT_MAX) folds.clear();
      folds.set(names, folded);
    }
    return folded;
  };

  return {
    signsFrom(mailbox) {
      const parsed = parseMailbox(mailbox);
      const address = parsed.kind === "bad" ? undefined : wireAddress(parsed.address);
      return address !== undefined && keys.keysFor(domainOf(address)).length > 0;
    },
    signs: (header) => keysOfMail(readHeader(header)).length > 0,
    sign(content, wallMs) {
      const header = readHeader(content.text);
      const used = keysOfMail(header);
      const chosen = used.length === 0 ? undefined : chooseFields(header.fields);
      if (chosen === undefined) return undefined;
      const parts: SignedParts = { ...chosen, names: foldedNames(chosen.names), tS: Math.floor(wallMs / 1000) };
      return signAll(content, relaxedBody(content.text, header.bodyAt), parts, used);
    },
  };
}

const FROMS_KEPT_MAX = 1000;
const FOLDS_KEPT_MAX = 1000;

/** Each is listed once more than it is there, so that nobody can add one (RFC 6376 §8.15). */
const OVERSIGNED = [
  "from",
  "reply-to",
  "to",
  "cc",
  "subject",
  "date",
  "message-id",
  "mime-version",
  "content-type",
  "content-transfer-encoding",
  "list-id",
  "list-unsubscribe",
  "list-unsubscribe-post",
  "feedback-id",
  "auto-submitted",
] as const;

/** Signed where they are; that somebody on the way adds one is no forgery: a mailing list adds its own. */
const SIGNED_IF_THERE = [
  "sender",
  "in-reply-to",
  "references",
  "content-id",
  "content-description",
  "content-disposition",
  "content-language",
  "list-help",
  "list-subscribe",
  "list-post",
  "list-owner",
  "list-archive",
  "precedence",
  "resent-date",
  "resent-from",
  "resent-sender",
  "resent-to",
  "resent-cc",
  "resent-message-id",
] as const;

interface Header {
  /** The values by lower-case names, as they stand in the mail, the first first. */
  readonly fields: ReadonlyMap<string, readonly string[]>;
  readonly bodyAt: number;
}

// A line that is no field (a mail may have come with one) belongs to nothing and is passed over.
function readHeader(text: string): Header {
  const fields = new Map<string, string[]>();
  let at = 0;
  while (at < text.length && !text.startsWith("\r\n", at)) {
    const end = endOfField(text, at);
    const colon = text.indexOf(":", at);
    if (colon > at && colon < end) {
      const name = trimEndBlanks(text.slice(at, colon)).toLowerCase();
      const value = text.slice(colon + 1, end);
      const values = fields.get(name);
      if (values === undefined) fields.set(name, [value]);
      else values.push(value);
    }
    at = end + 2;
  }
  return { fields, bodyAt: Math.min(at + 2, text.length) };
}

function endOfField(text: string, start: number): number {
  let end = text.indexOf("\r\n", start);
  while (end >= 0) {
    const next = text.charCodeAt(end + 2);
    if (next !== 0x20 && next !== 0x09) return end;
    end = text.indexOf("\r\n", end + 2);
  }
  return text.length;
}

function trimEndBlanks(name: string): string {
  let end = name.length;
  while (end > 0 && (name[end - 1] === " " || name[end - 1] === "\t")) end--;
  return name.slice(0, end);
}

interface ChosenFields {
  /** The h= tag. */
  readonly names: string;
  /** The fields in canonical form, each with its CRLF. */
  readonly canonical: string;
}

function chooseFields(fields: Header["fields"]): ChosenFields | undefined {
  const names: string[] = [];
  let canonical = "";
  // Of a name that is there several times, the last comes first (RFC 6376 §5.4.2).
  const take = (name: string): void => {
    const values = fields.get(name) ?? NONE;
    for (let at = values.length - 1; at >= 0; at--) {
      names.push(name);
      canonical += `${relaxedField(name, values[at]!)}\r\n`;
    }
  };
  for (const name of OVERSIGNED) {
    take(name);
    names.push(name);
  }
  for (const name of SIGNED_IF_THERE) take(name);
  return names.length > SIGNED_FIELDS_MAX ? undefined : { names: names.join(":"), canonical };
}

const NONE: readonly string[] = [];

interface SignedParts extends ChosenFields {
  readonly tS: number;
}

/** Up to here the body is hashed at once: it takes less than handing it to another thread and back. */
const HASHED_HERE_OCTETS_MAX = 65_536;

async function signAll(
  content: Content,
  body: Buffer,
  parts: SignedParts,
  keys: readonly SigningKey[],
): Promise<Content> {
  const bodyHash =
    body.length <= HASHED_HERE_OCTETS_MAX
      ? createHash("sha256").update(body).digest("base64")
      : Buffer.from(await webcrypto.subtle.digest("SHA-256", body)).toString("base64");
  const signatures = await Promise.all(keys.map((key) => signatureField(key, parts, bodyHash)));
  return { ...content, text: signatures.join("") + content.text };
}

/** The whole header field; what is signed of it is itself with an empty `b=`, behind the fields (RFC 6376 §3.7). */
async function signatureField(key: SigningKey, parts: SignedParts, bodyHash: string): Promise<string> {
  const { domain, selector, algorithm } = key;
  const value =
    ` v=1; a=${algorithm}-sha256; c=relaxed/relaxed; t=${parts.tS};\r\n` +
    ` d=${domain};\r\n s=${selector};\r\n h=${parts.names};\r\n bh=${bodyHash};\r\n b=`;
  const data = Buffer.from(`${parts.canonical}dkim-signature:${relaxedValue(value)}`, "latin1");
  const signature = await signData(key, data);
  return `DKIM-Signature:${value}${foldBase64(signature.toString("base64"))}\r\n`;
}

async function signData({ domain, selector, algorithm, privateKey }: SigningKey, data: Buffer): Promise<Buffer> {
  try {
    // RFC 8463 §3: Ed25519 signs the SHA-256 of the data, and hashes nothing by itself.
    return algorithm === "rsa"
      ? await signOnPool("sha256", data, privateKey)
      : await signOnPool(null, createHash("sha256").update(data).digest(), privateKey);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`the DKIM key ${selector} of ${domain} cannot sign (${why}); replace it, then release the message`);
  }
}

function signOnPool(hash: "sha256" | null, data: Buffer, key: KeyObject): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    sign(hash, data, key, (error, signature) => (error === null ? resolve(signature) : reject(error)));
  });
}

/** RFC 5322 §2.1.1 wants lines of 78 at most. */
const LINE_OCTETS_WANTED = 78;

function foldAtColons(names: string): string {
  let column = " h=".length;
  let folded = "";
  for (const name of names.split(/(?<=:)/)) {
    if (column + name.length > LINE_OCTETS_WANTED - 1) {
      folded += "\r\n ";
      column = 1;
    }
    folded += name;
    column += name.length;
  }
  return folded;
}

function foldBase64(text: string): string {
  let folded = text.slice(0, LINE_OCTETS_WANTED - 4);
  for (let at = folded.length; at < text.length; at += LINE_OCTETS_WANTED - 2) {
    folded += `\r\n ${text.slice(at, at + LINE_OCTETS_WANTED - 2)}`;
  }
  return folded;
}
