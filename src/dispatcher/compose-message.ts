// From a claimed row to what goes on the wire: a campaign's message is merged with its template, a single email is
// written from its parts, and a mail that came by SMTP goes as it came. Templates are read once per process and compiled
// once; attachments are read and encoded once for all recipients of an email or a template. What is from a domain with DKIM keys is
// signed, whatever it came by. Throws what is wrong with this message; the
// dispatcher then holds it, alone.

import type { EncodedOctets } from "../compose/attachment-part.ts";
import { compileMail, mergeMail, type CompiledMail } from "../compose/compile-mail.ts";
import { ownListHeaders, type OwnListHeaders } from "../compose/list-headers.ts";
import { composeMail } from "../compose/compose-mail.ts";
import { wireAddress, wireDomainOf } from "../compose/mailbox-header.ts";
import { streamHeaders } from "../compose/stream-headers.ts";
import { createMailSigner } from "../compose/sign-mail.ts";
import type { SigningKeys } from "../compose/signing-key.ts";
import { domainOf, parseMailbox } from "../mail/address.ts";
import type { Content, DsnWishes, Envelope } from "../mail/envelope.ts";
import { NO_CAMPAIGN, printCampaignId, printMessageId, type CampaignId } from "../mail/ids.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import type { KeptMail } from "../submission/submission.ts";
import { headOf } from "../templates/attachment-problems.ts";
import { compileTemplate } from "../templates/compile-template.ts";
import type { MergeData, TemplateSource } from "../templates/compiled-template.ts";
import { UNSUBSCRIBE_URL } from "../templates/template-variables.ts";
import { createAttachmentCache, type AttachmentCache } from "./attachment-cache.ts";
import { type AttachmentNeed, NO_NEEDS, neededAttachments, ownNeeds, templateNeeds } from "./attachment-needs.ts";
import type { ListLines } from "./list-lines.ts";
import { createTemplateShelf, type StoredTemplate, type TemplateShelf } from "./template-shelf.ts";

export interface Composer {
  /** Reads the templates and attachments that these rows need and that are not here yet. */
  prepare(rows: readonly ClaimedRow[]): Promise<void>;
  /** Throws `NotPrepared` where there was no room for what the row needs. */
  compose(row: ClaimedRow, wallMs: number): Composed;
  /** They are not composed again under this claim: what was kept for them may go. */
  release(rows: readonly ClaimedRow[]): void;
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

/** Nothing is wrong with the message: memory is full, and it should come again a little later. */
export class NotPrepared extends Error {}

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
  readonly tags?: readonly { readonly name: string; readonly value: string }[];
  readonly list?: string;
  /** Instead of text and html. */
  readonly template?: StoredTemplate;
}

interface LoadedTemplate {
  readonly mail: CompiledMail;
  readonly needs: readonly AttachmentNeed[];
  readonly sender: Sender;
  readonly ownListHeaders: OwnListHeaders;
  /** The template's own. */
  readonly headers: Readonly<Record<string, string>>;
  readonly hasUnsubscribeUrl: boolean;
  /** Header lines of the campaign that was asked for last. */
  readonly stream: { campaignId: CampaignId; lines: string };
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
  readonly lane: string;
  readonly readContent: (contentId: number) => Promise<unknown>;
  readonly readAttachments: (contentId: number) => Promise<readonly Uint8Array[]>;
  readonly attachmentCacheBytesMax?: number;
  /** What mail is signed with; absent: it goes unsigned. */
  readonly signingKeys?: SigningKeys;
  /** Absent: the lane's mail is no bulk, and gets no list headers. */
  readonly lists?: ListLines | undefined;
}

export function createComposer(given: ComposerSettings): Composer {
  const unsigned = createUnsignedComposer(given);
  if (given.signingKeys === undefined) return { ...unsigned, isSigned: () => false };
  const signer = createMailSigner(given.signingKeys);
  return {
    prepare: unsigned.prepare,
    release: unsigned.release,
    isSigned(row) {
      if (row.raw !== null) return signer.signs(headerOf(row.raw));
      const from = unsigned.fromOf(row);
      return from !== undefined && signer.signsFrom(from);
    },
    compose(row, wallMs) {
      const composed = unsigned.compose(row, wallMs);
      const from = unsigned.fromOf(row);
      if (from !== undefined && !signer.signsFrom(from)) return composed;
      const { envelope, content } = composed;
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
  release(rows: readonly ClaimedRow[]): void;
  /** The mailbox that its mail is from, for sure; of a whole mail, and where a template may say it, it is not known. */
  fromOf(row: ClaimedRow): string | undefined;
}

function createUnsignedComposer(given: ComposerSettings): UnsignedComposer {
  const templates = new Map<number, LoadedTemplate | Error>();
  const shelf = createTemplateShelf(given.readContent);
  const needsOf = (row: ClaimedRow): readonly AttachmentNeed[] => {
    if (row.raw !== null) return NO_NEEDS;
    if (row.content !== null) return [...shelf.needsOf(row.content), ...ownNeeds(row)];
    const template = templates.get(row.content_id);
    return template === undefined || template instanceof Error ? NO_NEEDS : template.needs;
  };
  const attachments = createAttachmentCache(given.readAttachments, needsOf, given.attachmentCacheBytesMax);
  return {
    async prepare(rows) {
      await given.lists?.prepare(rows);
      for (const row of rows) {
        if (row.raw === null && row.content?.["template"] !== undefined) await shelf.prepare(row.content);
        if (row.content !== null || templates.has(row.content_id)) continue;
        const source = (await given.readContent(row.content_id)) as TemplateSource;
        if (templates.size >= TEMPLATES_MAX) templates.delete(templates.keys().next().value!);
        templates.set(row.content_id, loadTemplate(row.content_id, source, given.from));
      }
      await attachments.keep(rows);
    },
    release: (rows) => attachments.release(rows),
    compose(row, wallMs) {
      if (row.raw !== null) return passOn(row, row.raw, row.content as unknown as KeptMail, given);
      if (row.content !== null)
        return composeSingle(row, { ...given, shelf, attachments, needs: needsOf(row), wallMs });
      const template = templates.get(row.content_id);
      if (template === undefined) throw new Error(`template ${row.content_id} is not loaded`);
      if (template instanceof Error) throw template;
      const list = given.lists?.ofCampaign(row, template.sender.domain, template.ownListHeaders);
      const content = mergeMail(template.mail, {
        data: template.hasUnsubscribeUrl ? withUnsubscribeUrl(row.data ?? {}, list?.url) : (row.data ?? {}),
        recipient: row.recipient,
        messageId: messageIdOf(row, template.sender),
        wallMs,
        extra: streamOf(template, row, list?.list, given.lane) + (list?.lines ?? ""),
        octets: keptOctets(row, template.needs, attachments),
      });
      return { envelope: envelopeOf(row, template.sender), content };
    },
    fromOf(row) {
      if (row.raw !== null) return undefined;
      if (row.content !== null) {
        const { from, template } = row.content as unknown as StoredEmail;
        return from ?? (template === undefined ? given.from : undefined);
      }
      const template = templates.get(row.content_id);
      return template instanceof Error ? undefined : template?.from;
    },
  };
}

function loadTemplate(contentId: number, source: TemplateSource, defaultFrom: string): LoadedTemplate | Error {
  try {
    const from = source.from ?? defaultFrom;
    return {
      mail: compileMail(compileTemplate(source), { from }, (source.attachments ?? []).map(headOf)),
      needs: templateNeeds(contentId, source),
      sender: senderOf(from),
      from,
      ownListHeaders: ownListHeaders(source.headers),
      headers: source.headers ?? {},
      hasUnsubscribeUrl: JSON.stringify(source).includes(UNSUBSCRIBE_URL),
      stream: { campaignId: NO_CAMPAIGN, lines: "" },
    };
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** The same for every message of a campaign. */
function streamOf(template: LoadedTemplate, row: ClaimedRow, list: string | undefined, lane: string): string {
  const { stream } = template;
  if (stream.campaignId !== row.campaign_id) {
    stream.campaignId = row.campaign_id;
    stream.lines = streamHeaders(
      {
        campaign: printCampaignId(row.campaign_id),
        list,
        template: String(row.content_id),
        lane,
        fromDomain: template.sender.domain,
      },
      template.headers,
    );
  }
  return stream.lines;
}

/** A column of that name is the site's own, and goes before ours. */
function withUnsubscribeUrl(data: MergeData, url: string | undefined): MergeData {
  if (Object.hasOwn(data, UNSUBSCRIBE_URL)) return data;
  if (url === undefined)
    throw new Error(
      `the template prints ${UNSUBSCRIBE_URL}, and there is none: set public_url and release the message`,
    );
  return { ...data, [UNSUBSCRIBE_URL]: url };
}

interface Defaults {
  readonly from: string;
  readonly lists?: ListLines | undefined;
}

function composeSingle(
  row: ClaimedRow,
  given: {
    readonly from: string;
    readonly lane: string;
    readonly lists?: ListLines | undefined;
    readonly shelf: TemplateShelf;
    readonly attachments: AttachmentCache;
    readonly needs: readonly AttachmentNeed[];
    readonly wallMs: number;
  },
): { envelope: Envelope; content: Content } {
  const email = given.shelf.fillIn(row.content as unknown as StoredEmail, () => ownVariables(row, given.lists));
  const from = email.from ?? given.from;
  const sender = senderOf(from);
  const { text, html, to, cc, reply_to, subject, headers, tags, list } = email;
  const content = composeMail(
    {
      ...(text === undefined ? {} : { text }),
      ...(html === undefined ? {} : { html }),
      attachments: neededAttachments(given.needs, keptOctets(row, given.needs, given.attachments)),
    },
    {
      from,
      to,
      ...(cc === undefined ? {} : { cc }),
      ...(reply_to === undefined ? {} : { replyTo: reply_to }),
      ...(subject === undefined ? {} : { subject }),
      ...(headers === undefined ? {} : { headers }),
      messageId: messageIdOf(row, sender),
      wallMs: given.wallMs,
      extra:
        streamHeaders({ tag: tags?.[0]?.value, list, lane: given.lane, fromDomain: sender.domain }, headers) +
        (given.lists?.ofEmail(row, sender.domain, list, headers) ?? ""),
    },
  );
  return { envelope: envelopeOf(row, sender), content };
}

function ownVariables(row: ClaimedRow, lists: ListLines | undefined): MergeData {
  const url = lists?.urlOf(row);
  return url === undefined ? {} : { [UNSUBSCRIBE_URL]: url };
}

function keptOctets(
  row: ClaimedRow,
  needs: readonly AttachmentNeed[],
  kept: AttachmentCache,
): readonly EncodedOctets[] {
  if (needs.length === 0) return NO_OCTETS;
  const octets = kept.of(row);
  if (octets === undefined) throw new NotPrepared("there was no room for its attachments");
  const named = needs.reduce((sum, { attachments }) => sum + attachments.length, 0);
  if (octets.length !== named) throw new Error(`${octets.length} of ${named} attachments are in the database`);
  return octets;
}

const NO_OCTETS: readonly EncodedOctets[] = [];

/** Octet for octet: the door has added what had to be added. Of a list, its headers go ahead. */
function passOn(
  row: ClaimedRow,
  raw: Buffer,
  mail: KeptMail,
  { from, lists }: Defaults,
): { envelope: Envelope; content: Content } {
  const octets = raw.toString("latin1");
  const text = (lists?.ofMail(row, wireDomainOf(mail.sender || from), mail.list, octets) ?? "") + octets;
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
