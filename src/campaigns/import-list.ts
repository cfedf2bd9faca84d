// A list into a campaign: in chunks, each chunk one transaction, so that a killed import loses nothing that was committed
// and can be run again to the exact count. While the database works on two chunks, the next is read; so three are in
// memory, however long the list is. Whether an address is one is judged by the database alone.

import { createReadStream } from "node:fs";
import type { Pool } from "pg";
import { addressProblem } from "../mail/address.ts";
import type { CampaignId } from "../mail/ids.ts";
import { inTransaction } from "../postgres/transaction.ts";
import type { CsvRow } from "./csv-records.ts";
import { readCsvRows, type CsvBatch, type CsvList } from "./csv-rows.ts";
import { acceptRecipients, copyChunk, copyLine, refusedRows, type RefusedRow } from "./import-store.ts";
import type { Reject, RejectsFile } from "./rejects-file.ts";

export interface ImportCounts {
  /** Rows of the list, without its header: accepted, doubled and rejected together. */
  readonly rows: number;
  /** Became messages now. */
  readonly accepted: number;
  /** Stood in the list before, or in the campaign already. */
  readonly doubled: number;
  readonly rejected: number;
}

export interface ImportProgress extends ImportCounts {
  readonly bytesRead: number;
}

/** Rows of one transaction: enough that its commit does not count, few enough that a kill costs little. */
const CHUNK_ROWS_WANTED = 5_000;
/** Octets of the list in one transaction: rows may be long. */
const CHUNK_BYTES_WANTED = 512 * 1024;
/** Chunks at the database at once: one session does not write as fast as a list is read. */
const CHUNKS_MAX = 2;
/** As much of a rejected row as the report shows. */
const RAW_CHARS_MAX = 500;

export async function importList(
  pool: Pool,
  campaignId: CampaignId,
  file: string,
  rejects: RejectsFile,
  onProgress: (progress: ImportProgress) => void,
): Promise<ImportCounts> {
  const list = await readCsvRows(createReadStream(file), CHUNK_ROWS_WANTED);
  const write = chunkWriter(list);
  let counts: ImportCounts = { rows: 0, accepted: 0, doubled: 0, rejected: 0 };
  const chunks = writeChunks(list.batches, write);
  for await (const { chunk, added, refused } of severalAtOnce(chunks, (chunk) => takeChunk(pool, campaignId, chunk))) {
    await rejects.add([...chunk.rejects, ...refused].toSorted((a, b) => a.line - b.line));
    counts = addUp(counts, chunk, added, refused.length);
    onProgress({ ...counts, bytesRead: chunk.bytesRead });
  }
  return counts;
}

/** What goes into one transaction, as COPY takes it. Of the rows themselves only those are kept that may be refused. */
interface Chunk {
  readonly rows: number;
  readonly copy: Buffer;
  readonly rejects: readonly Reject[];
  /** What stood on the lines whose address does not look like one. */
  readonly doubtful: ReadonlyMap<number, string>;
  readonly bytesRead: number;
}

interface Taken {
  readonly chunk: Chunk;
  readonly added: number;
  readonly refused: readonly Reject[];
}

/** Batches as the file is read are small; what a transaction takes is put together from several. */
async function* writeChunks(
  batches: AsyncIterable<CsvBatch>,
  write: (batch: CsvBatch) => Chunk,
): AsyncGenerator<Chunk> {
  let rows: CsvRow[] = [];
  let rejects: Reject[] = [];
  let bytesRead = 0;
  let bytesGiven = 0;
  for await (const batch of batches) {
    rows.push(...batch.rows);
    rejects.push(...batch.rejects);
    bytesRead = batch.bytesRead;
    if (rows.length < CHUNK_ROWS_WANTED && bytesRead - bytesGiven < CHUNK_BYTES_WANTED) continue;
    const chunk = write({ rows, rejects, bytesRead });
    [rows, rejects, bytesGiven] = [[], [], bytesRead];
    yield chunk;
  }
  if (rows.length + rejects.length > 0) yield write({ rows, rejects, bytesRead });
}

/** The names are the same in every row: written once, and each row only puts its values between them. */
function chunkWriter({ columns, addressColumn, delimiter }: CsvList): (batch: CsvBatch) => Chunk {
  const names = columns.map(({ name }, index) => `${index === 0 ? "{" : ","}${JSON.stringify(name)}:`);
  return ({ rows, rejects, bytesRead }) => {
    const doubtful = new Map<number, string>();
    const lines = rows.map(({ line, fields }) => {
      const recipient = fields[addressColumn]!.trim();
      if (addressProblem(recipient) !== undefined) doubtful.set(line, rawOf(fields, delimiter));
      let data = "";
      for (let index = 0; index < names.length; index++) data += names[index]! + JSON.stringify(fields[index]);
      return copyLine({ line, recipient, data: `${data}}` });
    });
    return { rows: rows.length, copy: Buffer.from(lines.join("")), rejects, doubtful, bytesRead };
  };
}

/** A copy: a piece of a text would keep the whole text in memory. */
function rawOf(fields: readonly string[], delimiter: string): string {
  return Buffer.from(fields.join(delimiter).slice(0, RAW_CHARS_MAX)).toString();
}

/** Results in the order of the chunks. On an error the others are waited for, so that nothing goes on behind it. */
async function* severalAtOnce(
  chunks: AsyncIterable<Chunk>,
  take: (chunk: Chunk) => Promise<Taken>,
): AsyncGenerator<Taken> {
  const underWay: Promise<Taken>[] = [];
  try {
    for await (const chunk of chunks) {
      // This one was read meanwhile; it waits here for its turn.
      if (underWay.length >= CHUNKS_MAX) yield await underWay.shift()!;
      const taking = take(chunk);
      taking.catch(() => {}); // Heard when it is awaited.
      underWay.push(taking);
    }
    while (underWay.length > 0) yield await underWay.shift()!;
  } finally {
    await Promise.allSettled(underWay);
  }
}

/** All of the chunk, or nothing of it. Only when rows are missing afterwards is it asked which were refused. */
async function takeChunk(pool: Pool, campaignId: CampaignId, chunk: Chunk): Promise<Taken> {
  if (chunk.rows === 0) return { chunk, added: 0, refused: [] };
  return await inTransaction(pool, async (client) => {
    await copyChunk(client, chunk.copy);
    const added = await acceptRecipients(client, campaignId);
    const refused = added === chunk.rows ? [] : await refusedRows(client);
    return { chunk, added, refused: refused.map((row) => rejectOf(chunk, row)) };
  });
}

function rejectOf({ doubtful }: Chunk, { line, recipient, problem }: RefusedRow): Reject {
  return { line, reason: problem, raw: doubtful.get(line) ?? recipient };
}

function addUp(before: ImportCounts, chunk: Chunk, added: number, refused: number): ImportCounts {
  return {
    rows: before.rows + chunk.rows + chunk.rejects.length,
    accepted: before.accepted + added,
    doubled: before.doubled + chunk.rows - added - refused,
    rejected: before.rejected + chunk.rejects.length + refused,
  };
}
