// A preview: one recipient's copy of a campaign's version in force, as it would go on the wire, but for what only a message
// has: its Message-ID, an address to unsubscribe by that works, and the DKIM signature. Writes nothing, and so it is possible
// in every status. The data is the list's: a message that was made keeps the data that it was made with.

import type { Pool } from "pg";
import type { CampaignRow } from "../campaigns/campaign-store.ts";
import type { Clock } from "../platform/clock.ts";
import type { MergeData } from "../templates/compiled-template.ts";
import { fillPieces } from "../templates/fill-pieces.ts";
import type { PreflightSettings } from "./copy-settings.ts";
import { openCopies, PREVIEW_TOKEN, type OpenedCopies } from "./open-copies.ts";
import { firstRecipients, recipientOfLine, recipientsNamed, type ListedRecipient } from "./recipient-store.ts";

export interface CopyPorts {
  readonly pool: Pool;
  readonly clock: Pick<Clock, "wallMs">;
  readonly settings: PreflightSettings;
}

/** Whose copy: by default the first recipient's; `line`: of the file. */
export type CopyOf =
  | { readonly kind: "first" }
  | { readonly kind: "address"; readonly address: string }
  | { readonly kind: "line"; readonly line: number };

/** As the doors print it. */
export interface PreviewedCopy {
  readonly recipient: string;
  /** Of its file; null: it came from none. */
  readonly line: number | null;
  /** Of the campaign's template. */
  readonly version: number;
  readonly from: string;
  readonly reply_to: string | null;
  readonly subject: string;
  /** Each field as it goes on the wire, its lines joined. */
  readonly headers: readonly string[];
  readonly text: string | null;
  readonly html: string | null;
  /** The whole mail without its DKIM signature; lines end in CRLF. */
  readonly raw: string;
}

export type PreviewAnswer =
  | { readonly kind: "copy"; readonly copy: PreviewedCopy }
  /** Nobody of that address or line is on the list; of `first`: nobody at all is. */
  | { readonly kind: "not_found" }
  /** The message would be held with this. */
  | { readonly kind: "failed"; readonly recipient: string; readonly problem: string };

export async function previewCopy(ports: CopyPorts, campaign: CampaignRow, of: CopyOf): Promise<PreviewAnswer> {
  const recipient = await findRecipient(ports.pool, campaign, of);
  if (recipient === undefined) return { kind: "not_found" };
  const copies = await openCopies(ports.pool, campaign, ports.settings, PREVIEW_TOKEN);
  if (copies instanceof Error) return failed(recipient, copies);
  try {
    return { kind: "copy", copy: copyOf(copies, recipient, campaign, ports.clock.wallMs()) };
  } catch (error) {
    return failed(recipient, error);
  }
}

async function findRecipient(pool: Pool, { list_id }: CampaignRow, of: CopyOf): Promise<ListedRecipient | undefined> {
  switch (of.kind) {
    case "first":
      return (await firstRecipients(pool, list_id, 1))[0];
    case "address":
      return (await recipientsNamed(pool, list_id, [of.address]))[0];
    case "line":
      return await recipientOfLine(pool, list_id, of.line);
  }
}

function failed({ address }: ListedRecipient, error: unknown): PreviewAnswer {
  return { kind: "failed", recipient: address, problem: error instanceof Error ? error.message : String(error) };
}

function copyOf(
  copies: OpenedCopies,
  recipient: ListedRecipient,
  { version }: CampaignRow,
  wallMs: number,
): PreviewedCopy {
  const data = copies.dataOf(recipient);
  const raw = Buffer.from(copies.compose(recipient, data, wallMs).text, "latin1").toString("utf8");
  const parts = fillParts(copies, data);
  return {
    recipient: recipient.address,
    line: recipient.line === 0 ? null : recipient.line,
    version,
    from: copies.mail.from,
    reply_to: copies.source.reply_to ?? null,
    subject: parts.subject,
    headers: headersOf(raw),
    text: parts.text ?? null,
    html: parts.html ?? null,
    raw,
  };
}

interface FilledParts {
  readonly subject: string;
  readonly text: string | undefined;
  readonly html: string | undefined;
  /** The template's own. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What a reader sees, before it is encoded. Throws what the message would be held with. */
export function fillParts({ mail: { mail } }: OpenedCopies, data: MergeData): FilledParts {
  return {
    subject: fillPieces("Subject", mail.subject, data),
    text: mail.text && fillPieces("text", mail.text.pieces, data),
    html: mail.html && fillPieces("html", mail.html.pieces, data),
    headers: Object.fromEntries(mail.headers.map(({ name, pieces }) => [name, fillPieces(name, pieces, data)])),
  };
}

export function headersOf(raw: string): readonly string[] {
  const end = raw.indexOf("\r\n\r\n");
  return raw
    .slice(0, end === -1 ? raw.length : end)
    .replaceAll(/\r\n(?=[ \t])/g, "")
    .split("\r\n")
    .filter((field) => field !== "");
}
