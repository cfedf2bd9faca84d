// From a claimed row to what goes on the wire: a campaign's message is merged with its template, a single email is
// written from its parts, and a mail that came by SMTP goes as it came. Templates are read once per process and compiled
// once; attachments are read and encoded once for all recipients of an email or a template. What is from a domain with
// DKIM keys is signed, whatever it came by. Throws what is wrong with this message; the dispatcher then holds it, alone.

import { createMailSigner } from "../compose/sign-mail.ts";
import type { SigningKeys } from "../compose/signing-key.ts";
import type { ComposedMail, Content, Envelope } from "../mail/envelope.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import type { TemplateSource } from "../templates/compiled-template.ts";
import { createAttachmentCache, NotPrepared } from "./attachment-cache.ts";
import { type AttachmentNeed, NO_NEEDS, ownNeeds } from "./attachment-needs.ts";
import { composeCampaign, loadTemplate, type LoadedTemplate } from "./compose-campaign.ts";
import { composeSingle, type StoredEmail } from "./compose-single.ts";
import type { ListLines } from "./list-lines.ts";
import { passOnMail } from "./pass-on-mail.ts";
import { createTemplateShelf } from "./template-shelf.ts";

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

/** It is being signed, on other threads. */
export interface ComposedUnderSignature {
  readonly envelope: Envelope;
  readonly content: Promise<Content>;
  /** What it takes meanwhile. */
  readonly octets: number;
}

/** Compiled templates in memory; a message whose template is gone when its turn comes waits for its next claim. */
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
  // By content; the longest unused one is the first.
  const templates = new Map<number, LoadedTemplate | Error>();
  const shelf = createTemplateShelf(given.readContent);
  const needsOf = (row: ClaimedRow): readonly AttachmentNeed[] => {
    if (row.raw !== null) return NO_NEEDS;
    if (row.content !== null) return [...shelf.needsOf(row.content), ...ownNeeds(row)];
    const template = templates.get(row.content_id);
    return template === undefined || template instanceof Error ? NO_NEEDS : template.needs;
  };
  const attachments = createAttachmentCache(given.readAttachments, needsOf, given.attachmentCacheBytesMax);

  const keepTemplate = async (contentId: number): Promise<void> => {
    const known = templates.get(contentId);
    const template =
      known ?? loadTemplate(contentId, (await given.readContent(contentId)) as TemplateSource, given.from);
    templates.delete(contentId);
    if (templates.size >= TEMPLATES_MAX) templates.delete(templates.keys().next().value!);
    templates.set(contentId, template);
  };

  return {
    async prepare(rows) {
      await given.lists?.prepare(rows);
      for (const row of rows) {
        if (row.raw === null && row.content?.["template"] !== undefined) await shelf.prepare(row.content);
      }
      const campaigns = rows.filter(({ content }) => content === null);
      for (const contentId of new Set(campaigns.map((row) => row.content_id))) await keepTemplate(contentId);
      await attachments.keep(rows);
    },
    release: (rows) => attachments.release(rows),
    compose(row, wallMs) {
      if (row.raw !== null) return passOnMail(row, row.raw, given);
      if (row.content !== null)
        return composeSingle(row, { ...given, shelf, attachments, needs: needsOf(row), wallMs });
      const template = templates.get(row.content_id);
      if (template === undefined) throw new NotPrepared("too many other templates came in between");
      if (template instanceof Error) throw template;
      return composeCampaign(row, template, { ...given, attachments, wallMs });
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
