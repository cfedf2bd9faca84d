// From a claimed row to what goes on the wire: a campaign's message is merged with its template, a single email is
// written from its parts, and a mail that came by SMTP goes as it came. Templates are read once per process and compiled
// once. What is from a domain with DKIM keys is signed, whatever it came by. Throws what is wrong with this message; the
// dispatcher then holds it, alone.

import { compileMail, mergeMail, type CompiledMail } from "../compose/compile-mail.ts";
import { composeMail } from "../compose/compose-mail.ts";
import { wireAddress } from "../compose/mailbox-header.ts";
import { createMailSigner } from "../compose/sign-mail.ts";
import type { SigningKeys } from "../compose/signing-key.ts";
import { domainOf, parseMailbox } from "../mail/address.ts";
import type { Content, DsnWishes, Envelope } from "../mail/envelope.ts";
import { printMessageId } from "../mail/ids.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import type { KeptMail } from "../submission/submission.ts";
import { compileTemplate } from "../templates/compile-template.ts";
import type { TemplateSource } from "../templates/compiled-template.ts";

export interface Composer {
  /** Reads the templates that these rows need and that are not here yet. */
  prepare(rows: readonly ClaimedRow[]): Promise<void>;
  compose(row: ClaimedRow, wallMs: number): Composed;
  /** Whether what is composed of this row will be signed, as far as can be told at once. Never throws. */
  isSigned(row: ClaimedRow): boolean;
}

export type Composed = ComposedMail | ComposedUnderSignature;

export interface ComposedMail {
  readonly envelope: Envelope;
  readonly content: Content;
}

/** It is being signed, on other threads. */
export interface ComposedUnderSignature {
  readonly envelope: Envelope;
  readonly content: Promise<Content>;
  /** What it takes meanwhile. */
  readonly octets: number;
}

/** An email as `postlane.enqueue` stores it. */
interface StoredEmail {
  readonly from?: string;
  readonly to: readonly string[];
  readonly cc?: readonly string[];
  readonly reply_to?: readonly string[];
  readonly subject?: string;
  readonly text?: string;
  readonly html?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface LoadedTemplate {
  readonly mail: CompiledMail;
  readonly sender: Sender;
  readonly from: string;
}

interface Sender {
  readonly address: string;
  /** Of the Message-IDs: as it goes on the wire. */
  readonly domain: string;
}

/** Compiled templates in memory; the one that was loaded first goes first. */
const TEMPLATES_MAX = 100;

export interface ComposerSettings {
  /** The sender of mail that names none. */
  readonly from: string;
  readonly readContent: (contentId: number) => Promise<unknown>;
  /** Absent: nothing is signed. */
  readonly signingKeys?: SigningKeys;
}

export function createComposer(given: ComposerSettings): Composer {
  const unsigned = createUnsignedComposer(given);
  if (given.signingKeys === undefined) return { ...unsigned, isSigned: () => false };
  const signer = createMailSigner(given.signingKeys);
  return {
    prepare: unsigned.prepare,
    isSigned(row) {
      if (row.raw !== null) return signer.signs(headerOf(row.raw));
      const from = unsigned.fromOf(row);
      return from !== undefined && signer.signsFrom(from);
    },
    compose(row, wallMs) {
      const { envelope, content } = unsigned.compose(row, wallMs);
      const signed = signer.sign(content, wallMs);
      return signed === undefined ? { envelope, content } : { envelope, content: signed, octets: content.text.length };
    },
  };
}

/** As much of a mail as is looked at for its From: a door takes no longer header. */
const HEADER_OCTETS_MAX = 256 * 1024;

function headerOf(raw: Buffer): string {
  const end = raw.indexOf("\r\n\r\n");
  return raw.toString("latin1", 0, Math.min(end < 0 ? raw.length : end + 2, HEADER_OCTETS_MAX));
}

interface UnsignedComposer {
  prepare(rows: readonly ClaimedRow[]): Promise<void>;
  compose(row: ClaimedRow, wallMs: number): ComposedMail;
  /** The mailbox that its mail is from; of a whole mail, and without its template, it is not known. */
  fromOf(row: ClaimedRow): string | undefined;
}

function createUnsignedComposer(given: ComposerSettings): UnsignedComposer {
  const templates = new Map<number, LoadedTemplate | Error>();
  return {
    async prepare(rows) {
      for (const row of rows) {
        if (row.content !== null || templates.has(row.content_id)) continue;
        const source = (await given.readContent(row.content_id)) as TemplateSource;
        if (templates.size >= TEMPLATES_MAX) templates.delete(templates.keys().next().value!);
        templates.set(row.content_id, loadTemplate(source, given.from));
      }
    },
    compose(row, wallMs) {
      if (row.raw !== null) return passOn(row, row.raw, row.content as unknown as KeptMail);
      if (row.content !== null) return composeSingle(row, row.content as unknown as StoredEmail, given.from, wallMs);
      const template = templates.get(row.content_id);
      if (template === undefined) throw new Error(`template ${row.content_id} is not loaded`);
      if (template instanceof Error) throw template;
      const content = mergeMail(template.mail, {
        data: row.data ?? {},
        recipient: row.recipient,
        messageId: messageIdOf(row, template.sender),
        wallMs,
      });
      return { envelope: envelopeOf(row, template.sender), content };
    },
    fromOf(row) {
      if (row.raw !== null) return undefined;
      if (row.content !== null) return (row.content as unknown as StoredEmail).from ?? given.from;
      const template = templates.get(row.content_id);
      return template instanceof Error ? undefined : template?.from;
    },
  };
}

function loadTemplate(source: TemplateSource, defaultFrom: string): LoadedTemplate | Error {
  try {
    const from = source.from ?? defaultFrom;
    return { mail: compileMail(compileTemplate(source), { from }), sender: senderOf(from), from };
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function composeSingle(
  row: ClaimedRow,
  email: StoredEmail,
  defaultFrom: string,
  wallMs: number,
): { envelope: Envelope; content: Content } {
  const from = email.from ?? defaultFrom;
  const sender = senderOf(from);
  const { text, html, to, cc, reply_to, subject, headers } = email;
  const content = composeMail(
    { ...(text === undefined ? {} : { text }), ...(html === undefined ? {} : { html }) },
    {
      from,
      to,
      ...(cc === undefined ? {} : { cc }),
      ...(reply_to === undefined ? {} : { replyTo: reply_to }),
      ...(subject === undefined ? {} : { subject }),
      ...(headers === undefined ? {} : { headers }),
      messageId: messageIdOf(row, sender),
      wallMs,
    },
  );
  return { envelope: envelopeOf(row, sender), content };
}

/** Octet for octet: the door has added what had to be added. */
function passOn(row: ClaimedRow, raw: Buffer, mail: KeptMail): { envelope: Envelope; content: Content } {
  const text = raw.toString("latin1");
  const dsn = dsnWishes(mail, row.recipient);
  return {
    envelope: { sender: mail.sender, recipient: row.recipient, ...(dsn === undefined ? {} : { dsn }) },
    content: {
      text,
      isAscii: Buffer.byteLength(text) === text.length,
      ...(mail.is_utf8 === true ? { isUtf8: true } : {}),
    },
  };
}

function dsnWishes({ ret, envid, notify, orcpt }: KeptMail, recipient: string): DsnWishes | undefined {
  const asked = notify?.[recipient];
  const wishes = {
    ...(ret === undefined ? {} : { ret }),
    ...(envid === undefined ? {} : { envid }),
    ...(asked === undefined ? {} : { notify: withoutSuccess(asked) }),
    ...(orcpt?.[recipient] === undefined ? {} : { orcpt: orcpt[recipient] }),
  };
  return Object.keys(wishes).length === 0 ? undefined : wishes;
}

/** That a message went out is told from here, once. */
function withoutSuccess(notify: string): string {
  const others = notify.split(",").filter((word) => word !== "SUCCESS");
  return others.length === 0 ? "NEVER" : others.join(",");
}

// The same for every attempt of a message, so that whoever gets a second copy can tell (RFC 5322 §3.6.4). The time of
// acceptance keeps two databases apart.
function messageIdOf(row: ClaimedRow, sender: Sender): string {
  return `${printMessageId(row.message_id)}.${Math.round(row.accepted_ms).toString(36)}@${sender.domain}`;
}

// Return path `keep`: failures go to whom the mail is from.
function envelopeOf(row: ClaimedRow, sender: Sender): Envelope {
  return { sender: sender.address, recipient: row.recipient };
}

function senderOf(mailbox: string): Sender {
  const parsed = parseMailbox(mailbox);
  if (parsed.kind === "bad") throw new Error(`the sender ${mailbox} is not an address: ${parsed.reason}`);
  const { address } = parsed;
  return { address, domain: domainOf(wireAddress(address) ?? address) };
}
