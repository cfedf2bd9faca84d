// A list into a campaign: read in batches, each batch one transaction, so that a killed import loses nothing that was
// committed and can be run again to the exact count. While the database works on one batch, the next is read.

import { createReadStream } from "node:fs";
import type { Pool } from "pg";
import type { CampaignId } from "../mail/ids.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { readCsvRows, type CsvBatch, type CsvList } from "./csv-rows.ts";
import { acceptRecipients, copyChunk, refusedRows, type ImportRow } from "./import-store.ts";
import type { RejectsFile } from "./rejects-file.ts";

export interface ImportCounts {
  /** Rows of the list, without its header. */
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

export async function importList(
  pool: Pool,
  campaignId: CampaignId,
  file: string,
  rejects: RejectsFile,
  onProgress: (progress: ImportProgress) => void,
): Promise<ImportCounts> {
  const list = await readCsvRows(createReadStream(file), BATCH_ROWS_MAX);
  const writeData = dataWriter(list);
  let counts: ImportCounts = { rows: 0, accepted: 0, doubled: 0, rejected: 0 };
  for await (const batch of oneAhead(list.batches)) {
    const rows = batch.rows.map(({ line, fields }) => ({
      line,
      recipient: fields[list.addressColumn]!.trim(),
      data: writeData(fields),
    }));
    const taken = await takeChunk(pool, campaignId, rows);
    const refused = taken.refused.map(({ line, recipient, problem }) => ({ line, reason: problem, raw: recipient }));
    await rejects.add([...batch.rejects, ...refused].toSorted((a, b) => a.line - b.line));
    counts = {
      rows: counts.rows + rows.length + batch.rejects.length,
      accepted: counts.accepted + taken.added,
      doubled: counts.doubled + rows.length - taken.added - refused.length,
      rejected: counts.rejected + batch.rejects.length + refused.length,
    };
    onProgress({ ...counts, bytesRead: batch.bytesRead });
  }
  return counts;
}

/** Begins to read the next batch before the present one is given out. */
async function* oneAhead(batches: AsyncIterable<CsvBatch>): AsyncGenerator<CsvBatch> {
  const reader = batches[Symbol.asyncIterator]();
  let next = reader.next();
  try {
    for (;;) {
      const { value, done } = await next;
      if (done === true) return;
      next = reader.next();
      next.catch(() => {}); // Heard by the `await` above, in its turn.
      yield value;
    }
  } finally {
    await reader.return?.();
  }
}

// The names are the same in every row: written once, and each row only puts its values between them.
function dataWriter({ columns }: CsvList): (fields: readonly string[]) => string {
  const names = columns.map(({ name }, index) => `${index === 0 ? "{" : ","}${JSON.stringify(name)}:`);
  return (fields) => {
    let data = "";
    for (const [index, name] of names.entries()) data += name + JSON.stringify(fields[index]);
    return `${data}}`;
  };
}

async function takeChunk(pool: Pool, campaignId: CampaignId, rows: readonly ImportRow[]) {
  if (rows.length === 0) return { added: 0, refused: [] };
  return await inTransaction(pool, async (client) => {
    await copyChunk(client, rows);
    const refused = await refusedRows(client);
    return { added: await acceptRecipients(client, campaignId), refused };
  });
}
