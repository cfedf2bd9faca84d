// A single email, written from its parts: those that it brings, or those of the template that it names.

import { composeMail } from "../compose/compose-mail.ts";
import { streamHeaders } from "../compose/stream-headers.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import type { MergeData } from "../templates/compiled-template.ts";
import { UNSUBSCRIBE_URL } from "../templates/template-variables.ts";
import { keptOctets, type AttachmentCache } from "./attachment-cache.ts";
import { neededAttachments, type AttachmentNeed } from "./attachment-needs.ts";
import type { ComposedMail } from "../mail/envelope.ts";
import type { ListLines } from "./list-lines.ts";
import { envelopeOf, messageIdOf, senderOf } from "../compose/message-sender.ts";
import type { StoredTemplate, TemplateShelf } from "./template-shelf.ts";

/** An email as `postlane.enqueue` stores it. */
export interface StoredEmail {
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

export function composeSingle(
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
): ComposedMail {
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
