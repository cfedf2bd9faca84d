// Attachments in memory, encoded: read and encoded once for all recipients of an email, and for all messages of a template.
// What a claimed row needs is kept until what becomes of it is known, whatever else comes; what nobody needs goes when there
// is no room, the longest unused first. A row for which there is no room is not prepared, not even in part: it waits, and
// comes again. Nothing larger than the cache is stored, so that each row finds room in the end.

import { encodeOctets, type EncodedOctets } from "../compose/attachment-part.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import type { AttachmentNeed } from "./attachment-needs.ts";

/** Of the encoded octets: about four emails with the most that they may have (`attachments_bytes_max`). */
export const ATTACHMENT_CACHE_BYTES_MAX = 64 * 1024 * 1024;

/** Nothing is wrong with the message: memory is full, and it should come again a little later. */
export class NotPrepared extends Error {}

export interface AttachmentCache {
  /** Reads what these rows need, as far as there is room, and keeps it for each of them until it is released. */
  keep(rows: readonly ClaimedRow[]): Promise<void>;
  /** In the order of what it needs; undefined: it is not here. */
  of(row: ClaimedRow): readonly EncodedOctets[] | undefined;
  release(rows: readonly ClaimedRow[]): void;
}

interface Entry {
  readonly contentId: number;
  readonly bytes: number;
  readonly octets: readonly EncodedOctets[];
  readonly neededBy: Set<ClaimedRow>;
}

interface Kept {
  readonly entries: readonly Entry[];
  readonly octets: readonly EncodedOctets[];
}

export function createAttachmentCache(
  read: (contentId: number) => Promise<readonly Uint8Array[]>,
  needsOf: (row: ClaimedRow) => readonly AttachmentNeed[],
  bytesMax = ATTACHMENT_CACHE_BYTES_MAX,
): AttachmentCache {
  // The longest unused one is the first.
  const entries = new Map<number, Entry>();
  const keptFor = new Map<ClaimedRow, Kept>();
  let bytes = 0;

  /** `here`: what the row needs and has. What is larger than all of the cache finds room when there is nothing else. */
  const makeRoom = (wanted: number, here: readonly Entry[]): boolean => {
    for (const entry of entries.values()) {
      if (bytes + wanted <= bytesMax) return true;
      if (entry.neededBy.size > 0) continue;
      entries.delete(entry.contentId);
      bytes -= entry.bytes;
    }
    if (bytes + wanted <= bytesMax) return true;
    return entries.size === here.length && here.every(({ neededBy }) => neededBy.size === 1);
  };

  const load = async ({ contentId }: AttachmentNeed, wanted: number): Promise<Entry> => {
    const octets = (await read(contentId)).map(encodeOctets);
    const entry = { contentId, bytes: wanted, octets, neededBy: new Set<ClaimedRow>() };
    entries.set(contentId, entry);
    bytes += wanted;
    return entry;
  };
  const letGo = (row: ClaimedRow, entry: Entry): void => {
    entry.neededBy.delete(row);
    if (entry.neededBy.size > 0) return;
    entries.delete(entry.contentId);
    entries.set(entry.contentId, entry);
  };

  const keepOne = async (row: ClaimedRow, needs: readonly AttachmentNeed[]): Promise<void> => {
    const kept = new Set<Entry>();
    const hold = (entry: Entry): Entry => {
      kept.add(entry);
      entry.neededBy.add(row);
      return entry;
    };
    try {
      // Before room is made, which might take them.
      const here = needs.flatMap(({ contentId }) => entries.get(contentId) ?? []).map(hold);
      const missing = needs.filter(({ contentId }) => !entries.has(contentId));
      const wanted = missing.reduce((sum, need) => sum + encodedBytes(need), 0);
      if (missing.length > 0 && !makeRoom(wanted, here)) return;
      for (const need of missing) hold(await load(need, encodedBytes(need)));
      const inOrder = needs.map(({ contentId }) => entries.get(contentId)!);
      const octets = inOrder.length === 1 ? inOrder[0]!.octets : inOrder.flatMap((entry) => entry.octets);
      keptFor.set(row, { entries: inOrder, octets });
    } finally {
      if (!keptFor.has(row)) for (const entry of kept) letGo(row, entry);
    }
  };

  return {
    async keep(rows) {
      for (const row of rows) {
        const needs = needsOf(row);
        if (needs.length > 0) await keepOne(row, needs);
      }
    },
    of: (row) => keptFor.get(row)?.octets,
    release(rows) {
      for (const row of rows) {
        const kept = keptFor.get(row);
        if (kept === undefined) continue;
        keptFor.delete(row);
        for (const entry of kept.entries) letGo(row, entry);
      }
    },
  };
}

/** What base64 with its line breaks takes. */
function encodedBytes({ attachments }: AttachmentNeed): number {
  return attachments.reduce((sum, { bytes }) => sum + Math.ceil(bytes / 57) * 78, 0);
}

/** Throws `NotPrepared` where there was no room for them. */
export function keptOctets(
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
