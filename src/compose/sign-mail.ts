// DKIM signatures (RFC 6376, RFC 8301, RFC 8463) for a whole mail: relaxed/relaxed, no `l=`, one for each key, put in
// front in the order of the keys. Nothing else of the mail changes, whether we wrote it or it came by SMTP; signatures of
// others stay and are not signed. What is costly, the signature itself and the hash of a large body, runs on the thread
// pool. Pure apart from `node:crypto`.
//
// Not signed: a mail without a From field or with several (RFC 6376 §5.4 wants From signed, and RFC 5322 §3.6 has one),
// one from whose From no domain can be read, and one with more fields to sign than `SIGNED_FIELDS_MAX`.

import { createHash, webcrypto } from "node:crypto";
import { domainOf, parseMailbox } from "../mail/address.ts";
import type { Content } from "../mail/envelope.ts";
import { relaxedBody } from "./dkim-relaxed.ts";
import { canonicalFields, signatureOver } from "./dkim-signature.ts";
import { fromDomain } from "./from-domain.ts";
import { readHeader, type MailHeader } from "./header-fields.ts";
import { wireAddress } from "./mailbox-header.ts";
import type { SigningKey, SigningKeys } from "./signing-key.ts";

export interface MailSigner {
  /** Whether mail from this mailbox, as it is configured or given, is signed. Never throws, and neither does the next one. */
  signsFrom(mailbox: string): boolean;
  /** Whether a mail with this header, in which each field ends in CRLF, is signed. */
  signs(header: string): boolean;
  /** Undefined: this mail is not signed. The promise fails when a key cannot sign. */
  sign(content: Content, wallMs: number): Promise<Content> | undefined;
}

/** A mail of ours has 10 to 20 of them; with more than this it goes unsigned. */
export const SIGNED_FIELDS_MAX = 200;

export function createMailSigner(keys: SigningKeys): MailSigner {
  const domainOfFrom = remembered(fromDomain, FROMS_KEPT_MAX, FROM_KEPT_OCTETS_MAX);
  const domainOfKnown = remembered(domainOfMailbox, FROMS_KEPT_MAX, FROM_KEPT_OCTETS_MAX);
  const foldedNames = remembered(foldAtColons, FOLDS_KEPT_MAX);
  const keysOf = (domain: string | undefined): readonly SigningKey[] =>
    domain === undefined ? NO_KEYS : keys.keysFor(domain);
  const keysOfMail = ({ fields }: MailHeader): readonly SigningKey[] => {
    const from = fields.get("from");
    return from?.length === 1 ? keysOf(domainOfFrom(from[0]!)) : NO_KEYS;
  };

  return {
    // Of keys that cannot be opened it is told when the mail is signed: it is signed, or held.
    signsFrom: (mailbox) => isSignedWith(() => keysOf(domainOfKnown(mailbox))),
    signs: (header) => isSignedWith(() => keysOfMail(readHeader(header))),
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

/** What was made of a text before is not made again for each mail. Too many: all are forgotten. */
function remembered<Made extends string | undefined>(
  make: (text: string) => Made,
  textsMax: number,
  octetsMax = Infinity,
) {
  const kept = new Map<string, Made>();
  return (text: string): Made => {
    const known = kept.get(text);
    if (known !== undefined) return known;
    const made = make(text);
    if (made === undefined || text.length > octetsMax) return made;
    if (kept.size >= textsMax) kept.clear();
    kept.set(text, made);
    return made;
  };
}

function domainOfMailbox(mailbox: string): string | undefined {
  const parsed = parseMailbox(mailbox);
  const address = parsed.kind === "bad" ? undefined : wireAddress(parsed.address);
  return address === undefined ? undefined : domainOf(address);
}

function isSignedWith(find: () => readonly SigningKey[]): boolean {
  try {
    return find().length > 0;
  } catch {
    return true;
  }
}

const NO_KEYS: readonly SigningKey[] = [];
/** A campaign has one, a site a few. */
const FROMS_KEPT_MAX = 1000;
const FROM_KEPT_OCTETS_MAX = 512;
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

interface ChosenFields {
  /** The h= tag. */
  readonly names: string;
  readonly canonical: string;
}

function chooseFields(fields: MailHeader["fields"]): ChosenFields | undefined {
  const names: string[] = [];
  for (const name of OVERSIGNED) addTimes(names, name, (fields.get(name)?.length ?? 0) + 1);
  for (const name of SIGNED_IF_THERE) addTimes(names, name, fields.get(name)?.length ?? 0);
  if (names.length > SIGNED_FIELDS_MAX) return undefined;
  return { names: names.join(":"), canonical: canonicalFields(fields, names) };
}

function addTimes(names: string[], name: string, times: number): void {
  for (let n = 0; n < times; n++) names.push(name);
}

interface SignedParts extends ChosenFields {
  readonly tS: number;
}

/** Up to here the body is hashed at once: it takes less than handing it to another thread and back. */
const HASHED_HERE_OCTETS_MAX = 65_536;

async function signAll(
  content: Content,
  body: Uint8Array,
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
  return `DKIM-Signature:${value}${foldBase64(await signatureOver(key, parts.canonical, value))}\r\n`;
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
