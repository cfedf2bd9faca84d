// The octets of attachments, once for all recipients: by content, in the order in which its body names them. Those of
// emails the rules of entry have stored; those of a template are stored with its version, or with its campaign.

import { createHash } from "node:crypto";
import { countOf, rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export const READ = statement<{ readonly octets: Buffer }>(
  "attachment_read",
  `SELECT octets FROM postlane.attachment WHERE content_id = $1 ORDER BY place`,
);

export async function readAttachments(on: Queryable, contentId: number): Promise<readonly Buffer[]> {
  return (await rowsOf(on, READ, [contentId])).map(({ octets }) => octets);
}

export const ADD = statement<unknown>(
  "attachment_add",
  `INSERT INTO postlane.attachment (content_id, place, octets) VALUES ($1, $2, $3)`,
);

/** Within the transaction that stores the content. One by one, so that no statement carries more than one file. */
export async function addAttachments(on: Queryable, contentId: number, octets: readonly Uint8Array[]): Promise<void> {
  for (const [at, each] of octets.entries()) await countOf(on, ADD, [contentId, at + 1, asBuffer(each)]);
}

export const DIGESTS = statement<{ readonly digest: Buffer }>(
  "attachment_digests",
  `SELECT sha256(octets) AS digest FROM postlane.attachment WHERE content_id = $1 ORDER BY place`,
);

/** Whether a content has these very octets, in this order; only digests are read. */
export async function hasAttachments(
  on: Queryable,
  contentId: number,
  octets: readonly Uint8Array[],
): Promise<boolean> {
  const kept = await rowsOf(on, DIGESTS, [contentId]);
  return kept.length === octets.length && kept.every(({ digest }, at) => digest.equals(octetsDigest(octets[at]!)));
}

export function octetsDigest(octets: Uint8Array): Buffer {
  return createHash("sha256").update(octets).digest();
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
