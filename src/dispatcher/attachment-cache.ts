// Attachments in memory, encoded: read and encoded once for all recipients of an email. What a claimed row needs is kept
// until what becomes of it is known, whatever else comes; what nobody needs goes when there is no room, the longest unused first.
// A row for which there is no room is not prepared: it waits, and comes again. Nothing larger than the cache is stored, so
// that each row finds room in the end.

import { encodeOctets, type EncodedOctets } from "../compose/attachment-part.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";

/** Of the encoded octets: about four emails with the most that they may have (`attachments_bytes_max`). */
export const ATTACHMENT_CACHE_BYTES_MAX = 64 * 1024 * 1024;

/** Nothing is wrong with the message: memory is full, and it should come again a little later. */
export class NotPrepared extends Error {}

export interface AttachmentCache {
  /** Reads what these rows need, as far as there is room, and keeps it for each of them until it is released. */
  keep(rows: readonly ClaimedRow[]): Promise<void>;
  /** In the order of the content's attachments; undefined: it is not here. */
  of(row: ClaimedRow): readonly EncodedOctets[] | undefined;
  release(rows: readonly ClaimedRow[]): void;
}

export interface StoredAttachment {
  readonly filename: string;
  readonly content_type?: string;
  readonly content_id?: string;
  /** As stored, before they are encoded. */
  readonly bytes: number;
}

interface Entry {
  readonly contentId: number;
  readonly bytes: number;
  readonly octets: readonly EncodedOctets[];
  readonly neededBy: Set<ClaimedRow>;
}

export function createAttachmentCache(
  read: (contentId: number) => Promise<readonly Uint8Array[]>,
  bytesMax = ATTACHMENT_CACHE_BYTES_MAX,
): AttachmentCache {
  // The longest unused one is the first.
  const entries = new Map<number, Entry>();
  const rowEntries = new Map<ClaimedRow, Entry>();
  let bytes = 0;

  const makeRoom = (wanted: number): boolean => {
    for (const entry of entries.values()) {
      if (bytes + wanted <= bytesMax) return true;
      if (entry.neededBy.size > 0) continue;
      entries.delete(entry.contentId);
      bytes -= entry.bytes;
    }
    return bytes + wanted <= bytesMax || entries.size === 0;
  };

  const load = async (row: ClaimedRow, wanted: number): Promise<Entry> => {
    const octets = (await read(row.content_id)).map(encodeOctets);
    const entry = { contentId: row.content_id, bytes: wanted, octets, neededBy: new Set<ClaimedRow>() };
    entries.set(row.content_id, entry);
    bytes += wanted;
    return entry;
  };

  return {
    async keep(rows) {
      for (const row of rows) {
        const wanted = encodedBytes(attachmentsOf(row));
        if (wanted === undefined) continue;
        const known = entries.get(row.content_id);
        if (known === undefined && !makeRoom(wanted)) continue;
        const entry = known ?? (await load(row, wanted));
        entry.neededBy.add(row);
        rowEntries.set(row, entry);
      }
    },
    of: (row) => rowEntries.get(row)?.octets,
    release(rows) {
      for (const row of rows) {
        const entry = rowEntries.get(row);
        if (entry === undefined) continue;
        rowEntries.delete(row);
        entry.neededBy.delete(row);
        if (entry.neededBy.size > 0) continue;
        entries.delete(entry.contentId);
        entries.set(entry.contentId, entry);
      }
    },
  };
}

/** Of what was submitted as an email; a mail that came whole has its own within. */
export function attachmentsOf({ content, raw }: ClaimedRow): readonly StoredAttachment[] {
  if (content === null || raw !== null) return [];
  return (content["attachments"] as readonly StoredAttachment[] | undefined) ?? [];
}

/** What base64 with its line breaks takes; undefined: there is nothing to keep. */
function encodedBytes(attachments: readonly StoredAttachment[]): number | undefined {
  if (attachments.length === 0) return undefined;
  return attachments.reduce((sum, { bytes }) => sum + Math.ceil(bytes / 57) * 78, 0);
}
