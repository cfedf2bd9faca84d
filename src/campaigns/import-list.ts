// A list into a campaign: read in batches, each batch one transaction, so that a killed import loses nothing that was
// committed and can be run again to the exact count. While the database works on one batch, the next is read; so two
// batches are in memory, however long the list is.

import { createReadStream } from "node:fs";
import type { Pool } from "pg";
import type { CampaignId } from "../mail/ids.ts";
import { inTransaction } from "../postgres/transaction.ts";
import type { CsvRow } from "./csv-records.ts";
import { readCsvRows, type CsvBatch, type CsvList } from "./csv-rows.ts";
import { acceptRecipients, copyChunk, refusedRows, type ImportRow } from "./import-store.ts";
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
const BATCH_ROWS_MAX = 10_000;
/** Octets of the list in one transaction: rows may be long. */
const BATCH_BYTES_WANTED = 4 * 1024 * 1024;
/** As much of a rejected row as the report shows. */
const RAW_CHARS_MAX = 500;

export async function importList(
  pool: Pool,
  campaignId: CampaignId,
  file: string,
  rejects: RejectsFile,
  onProgress: (progress: ImportProgress) => void,
): Promise<ImportCounts> {
  const list = await readCsvRows(createReadStream(file), BATCH_ROWS_MAX);
  const writeRow = rowWriter(list);
  let counts: ImportCounts = { rows: 0, accepted: 0, doubled: 0, rejected: 0 };
  for await (const batch of oneAhead(fullBatches(list.batches))) {
    const taken = await takeBatch(pool, campaignId, batch.rows.map(writeRow));
    const refused = refusedAsRead(list, batch.rows, taken.refused);
    await rejects.add([...batch.rejects, ...refused].toSorted((a, b) => a.line - b.line));
    counts = addUp(counts, batch, taken.added, refused.length);
    onProgress({ ...counts, bytesRead: batch.bytesRead });
  }
  return counts;
}

/** Batches as the file is read are small; what a transaction takes is put together from several. */
async function* fullBatches(batches: AsyncIterable<CsvBatch>): AsyncGenerator<CsvBatch> {
  let rows: CsvRow[] = [];
  let rejects: Reject[] = [];
  let bytesRead = 0;
  let bytesGiven = 0;
  for await (const batch of batches) {
    if (rows.length > 0 && rows.length + batch.rows.length > BATCH_ROWS_MAX) {
      yield { rows, rejects, bytesRead };
      [rows, rejects, bytesGiven] = [[], [], bytesRead];
    }
    rows.push(...batch.rows);
    rejects.push(...batch.rejects);
    bytesRead = batch.bytesRead;
    if (bytesRead - bytesGiven < BATCH_BYTES_WANTED) continue;
    yield { rows, rejects, bytesRead };
    [rows, rejects, bytesGiven] = [[], [], bytesRead];
  }
  if (rows.length + rejects.length > 0) yield { rows, rejects, bytesRead };
}

/** Begins to read the next batch before the present one is given out. */
async function* oneAhead(batches: AsyncGenerator<CsvBatch>): AsyncGenerator<CsvBatch> {
  let next = batches.next();
  try {
    for (;;) {
      const { value, done } = await next;
      if (done === true) return;
      next = batches.next();
      next.catch(() => {}); // Heard by the `await` above, in its turn.
      yield value;
    }
  } finally {
    await batches.return(undefined);
  }
}

/** The names are the same in every row: written once, and each row only puts its values between them. */
function rowWriter({ columns, addressColumn }: CsvList): (row: CsvRow) => ImportRow {
  const names = columns.map(({ name }, index) => `${index === 0 ? "{" : ","}${JSON.stringify(name)}:`);
  return ({ line, fields }) => {
    let data = "";
    for (let index = 0; index < names.length; index++) data += names[index]! + JSON.stringify(fields[index]);
    return { line, recipient: fields[addressColumn]!.trim(), data: `${data}}` };
  };
}

/** All of the batch, or nothing of it. Only when rows are missing afterwards is it asked which were refused. */
async function takeBatch(pool: Pool, campaignId: CampaignId, rows: readonly ImportRow[]) {
  if (rows.length === 0) return { added: 0, refused: [] };
  return await inTransaction(pool, async (client) => {
    await copyChunk(client, rows);
    const added = await acceptRecipients(client, campaignId);
    return { added, refused: added === rows.length ? [] : await refusedRows(client) };
  });
}

function refusedAsRead(
  { delimiter }: CsvList,
  rows: readonly CsvRow[],
  refused: readonly { readonly line: number; readonly problem: string }[],
): readonly Reject[] {
  const problems = new Map(refused.map(({ line, problem }) => [line, problem]));
  return rows.flatMap(({ line, fields }) => {
    const reason = problems.get(line);
    return reason === undefined ? [] : [{ line, reason, raw: fields.join(delimiter).slice(0, RAW_CHARS_MAX) }];
  });
}

function addUp(before: ImportCounts, batch: CsvBatch, added: number, refused: number): ImportCounts {
  return {
    rows: before.rows + batch.rows.length + batch.rejects.length,
    accepted: before.accepted + added,
    doubled: before.doubled + batch.rows.length - added - refused,
    rejected: before.rejected + batch.rejects.length + refused,
  };
}
